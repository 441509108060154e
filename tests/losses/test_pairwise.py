import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import relaxnet as rx
from relaxnet.losses import pairwise_residual

PROTOCOL = rx.protocols.LIVER_T1RHO_T2
TIMES = (0.0, 10.0, 30.0, 50.0)


def decaying(t, m0=1.0, times=TIMES):
    t = torch.as_tensor(t, dtype=torch.float64).reshape(1, -1)
    return rx.signals.MonoExponential()(torch.full_like(t, m0), t, times)


def written_out(images, t_ms, times):
    """The formula of the paper, word by word: all ordered pairs, each exponential for itself."""
    pairs = list(itertools.permutations(range(len(times)), 2))
    terms = [(images[:, i] - images[:, j] * torch.exp((times[j] - times[i]) / t_ms)).abs() for i, j in pairs]
    return sum(terms) / len(pairs)


@given(st.floats(5, 400), st.floats(0.1, 1e4))
def test_the_true_map_leaves_no_residual(t, m0):
    images = decaying([t], m0)
    assert pairwise_residual(images, torch.tensor([[t]], dtype=torch.float64), TIMES) < 1e-9 * m0


@given(st.lists(st.floats(0, 100), min_size=8, max_size=8), st.lists(st.floats(5, 400), min_size=2, max_size=2))
def test_it_is_the_formula_of_the_paper(samples, t):
    images = torch.tensor(samples, dtype=torch.float64).reshape(1, 4, 2)
    t_ms = torch.tensor([t], dtype=torch.float64)
    torch.testing.assert_close(pairwise_residual(images, t_ms, TIMES), written_out(images, t_ms, TIMES))


@given(st.permutations(range(4)))
def test_order_of_the_images_does_not_matter(order):
    images, t_ms = torch.rand(2, 4, 3, 3, dtype=torch.float64), torch.rand(2, 3, 3, dtype=torch.float64) * 50 + 10
    permuted = pairwise_residual(images[:, order], t_ms, [TIMES[k] for k in order])
    torch.testing.assert_close(permuted, pairwise_residual(images, t_ms, TIMES))


def test_gradient_is_that_of_finite_differences(generator):
    images = torch.rand(1, 4, 6, dtype=torch.float64, generator=generator).requires_grad_()
    t_ms = (torch.rand(1, 6, dtype=torch.float64, generator=generator) * 50 + 10).requires_grad_()
    assert torch.autograd.gradcheck(lambda i, t: pairwise_residual(i, t, TIMES), (images, t_ms))


def test_short_times_stay_finite_in_single_precision():
    t_ms = torch.ones(1, 5, requires_grad=True)
    residual = pairwise_residual(torch.rand(1, 2, 5), t_ms, (0.0, 60.0))
    residual.sum().backward()
    assert torch.isfinite(residual).all()
    assert torch.isfinite(t_ms.grad).all()


def test_noise_pulls_all_ordered_pairs_upwards(generator):
    """The known price of the paper's loss: at SNR 10 its best single T1rho for a region of 45 ms is about 47 ms."""
    images = rx.signals.add_noise(decaying([45.0]).expand(20_000, 4, 1), 0.1, kind="gaussian", generator=generator)
    candidates = torch.arange(42.0, 52.0, 0.25)
    costs = [pairwise_residual(images, torch.full((20_000, 1), float(t)).double(), TIMES).mean() for t in candidates]
    assert 46.5 < candidates[torch.stack(costs).argmin()] < 48.5


def test_a_spoiled_voxel_is_nan_without_gradient():
    images = decaying([40.0, 40.0]).clone()
    images[0, 1, 0] = torch.nan
    t_ms = torch.full((1, 2), 50.0, dtype=torch.float64, requires_grad=True)
    residual = pairwise_residual(images, t_ms, TIMES)
    assert torch.isnan(residual).tolist() == [[True, False]]
    residual[~torch.isnan(residual)].sum().backward()
    assert t_ms.grad[0, 0] == 0
    assert t_ms.grad[0, 1] != 0


@pytest.mark.parametrize("space", [(), (5,), (4, 3), (2, 4, 3)])
def test_tasks_are_independent_and_share_the_first_image(space):
    maps = torch.rand(2, 2, *space, dtype=torch.float64) * 50 + 10
    images = torch.rand(2, 7, *space, dtype=torch.float64)
    residual = rx.losses.PairwiseConstraint(PROTOCOL)(maps, images)
    assert residual.shape == (2, 2, *space)
    for k, contrast in enumerate(PROTOCOL.contrasts):
        own = images[:, PROTOCOL.images_of(contrast.name)]
        torch.testing.assert_close(residual[:, k], pairwise_residual(own, maps[:, k], contrast.times_ms))


@pytest.mark.parametrize(
    ("maps", "images", "message"),
    [
        ((1, 3, 4, 4), (1, 7, 4, 4), r"axis 1 needs 2 maps, \('t1rho', 't2'\)"),
        ((1, 2, 4, 4), (1, 4, 4, 4), "axis 1 needs all 7 images"),
        ((1, 2, 4, 4), (2, 7, 4, 4), "differ in batch or space"),
        ((1, 2, 4, 5), (1, 7, 4, 4), "differ in batch or space"),
        ((2,), (7,), "maps_ms has shape"),
    ],
)
@pytest.mark.usefixtures("as_user")
def test_shapes_that_do_not_fit(maps, images, message):
    with pytest.raises(ValueError, match=message):
        rx.losses.PairwiseConstraint(PROTOCOL)(torch.ones(maps), torch.ones(images))
