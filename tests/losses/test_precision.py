"""Half precision: what is summed is summed in single precision, and nothing overflows or vanishes."""

import pytest
import torch

import relaxnet as rx
from relaxnet.losses import (
    CorrelatedLaplace,
    DynamicWeightAverage,
    FixedWeights,
    HeteroscedasticLaplace,
    HomoscedasticLaplace,
    PairwiseConstraint,
    ProfiledLaplace,
    RandomWeighting,
    Reconstruction,
    SoftOptimalWeighting,
)

PROTOCOL = rx.protocols.LIVER_T1RHO_T2
WEIGHTINGS = {
    "fixed": lambda: FixedWeights((0.5, 2.0)),
    "homoscedastic": lambda: HomoscedasticLaplace(2),
    "from data": lambda: HomoscedasticLaplace(2, init="data"),
    "heteroscedastic": HeteroscedasticLaplace,
    "beta": lambda: HeteroscedasticLaplace(beta=0.5),
    "faithful": lambda: HeteroscedasticLaplace(faithful=True),
    "profiled": ProfiledLaplace,
    "running": lambda: ProfiledLaplace(momentum=0.9),
    "correlated": lambda: CorrelatedLaplace(2),
    "gaussian": lambda: CorrelatedLaplace(2, distribution="gaussian"),
    "random": lambda: RandomWeighting(2),
    "uw-so": lambda: SoftOptimalWeighting(2),
    "dynamic": lambda: DynamicWeightAverage(2),
}
half = pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)


@half
@pytest.mark.parametrize("make", WEIGHTINGS.values(), ids=WEIGHTINGS)
@pytest.mark.parametrize("size", [1e-4, 0.1, 300.0])
def test_weightings_add_up_in_single_precision(dtype, make, size):
    """A slice of 256 x 256 has more voxels than the largest number of float16."""
    noise = torch.rand(4, 2, 256, 256, generator=torch.Generator().manual_seed(0))
    residual = (size * (0.5 + noise)).to(dtype)
    log_scale = ((noise - 0.5).to(dtype),) if make().needs == "scales" else ()
    low, high = residual.clone().requires_grad_(), residual.float().requires_grad_()
    weighting, exact = make(), make()
    loss, expected = weighting(low, *log_scale), exact(high, *(part.float() for part in log_scale))
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(weighting.scales, exact.scales, rtol=1e-5, atol=0)
    loss.backward()
    expected.backward()
    assert low.grad.dtype == dtype
    torch.testing.assert_close(low.grad, high.grad.to(dtype), rtol=2e-2, atol=1e-7)


def some_images(dtype):
    generator = torch.Generator().manual_seed(0)
    maps = 20 + 60 * torch.rand(1, 2, 16, 16, generator=generator)
    signal = [rx.signals.MonoExponential()(torch.full((1, 16, 16), 3000.0), maps[:, k], c.times_ms) for k, c in
              enumerate(PROTOCOL.contrasts)]  # fmt: skip
    images = torch.cat([signal[0], signal[1][:, 1:]], dim=1)
    noisy = images + 100 * torch.randn(images.shape, generator=generator)
    return maps.to(dtype), noisy.to(dtype)


@half
@pytest.mark.parametrize("make", [
    *(lambda pairs=pairs: PairwiseConstraint(PROTOCOL, pairs=pairs) for pairs in ("all", "forward", "orthogonal")),
    *(lambda distance=distance: Reconstruction(PROTOCOL, distance=distance) for distance in ("l1", "l2")),
])  # fmt: skip
def test_residuals_are_computed_in_single_precision(dtype, make):
    maps, images = some_images(dtype)
    residual = make()(maps, images)
    assert residual.dtype == torch.float32
    torch.testing.assert_close(residual, make()(maps.float(), images.float()))


@half
def test_a_supervised_loss_of_half_precision(dtype):
    maps = torch.full((4, 2, 128, 128), 40.0, dtype=dtype)
    torch.testing.assert_close(rx.losses.supervised(maps, maps + 1), torch.tensor(2.0), rtol=1e-5, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("make", WEIGHTINGS.values(), ids=WEIGHTINGS)
def test_scales_and_weights_have_the_default_precision(dtype, make):
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        weighting = make()
    finally:
        torch.set_default_dtype(before)
    assert {values.dtype for values in weighting.state_dict().values() if values.is_floating_point()} <= {dtype}


def test_learnt_scales_keep_the_digits_of_double_precision():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        weighting = HomoscedasticLaplace(1, init=0.1)
        assert abs(weighting.scales.item() - 0.1) < 1e-15
    finally:
        torch.set_default_dtype(before)
