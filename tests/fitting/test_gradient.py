"""Fits as layers of a network."""

import pytest
import torch

import relaxnet as rx

TIMES = (0.0, 10.0, 30.0, 50.0)
PROTOCOL = rx.protocols.LIVER_T1RHO_T2
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")  # torch itself


def noisy(n, times=TIMES, seed=0):
    g = torch.Generator().manual_seed(seed)
    t = 20 + 60 * torch.rand(n, generator=g, dtype=torch.float64)
    clean = rx.signals.MonoExponential()(torch.full_like(t, 1.0), t, times)
    return rx.signals.add_noise(clean, 0.03, kind="gaussian", generator=g)


def check(function, signal):
    assert torch.autograd.gradcheck(function, (signal.requires_grad_(),), eps=1e-6, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["t", "m0"])
@pytest.mark.parametrize("sigma", [None, (1.0, 2.0, 1.0, 3.0)])
def test_gradient_is_that_of_finite_differences(name, sigma):
    check(lambda s: rx.fitting.nlls(s, TIMES, sigma=sigma).maps[name], noisy(6))


@pytest.mark.parametrize("name", ["t", "m0", "offset"])
def test_gradient_with_an_offset(name):
    times = (0, 10, 20, 40, 80)
    model = rx.signals.MonoExponentialWithOffset()
    check(lambda s: rx.fitting.nlls(s, times, model=model).maps[name], noisy(4, times) + 0.2)


def test_gradient_of_another_model():
    times = (50, 200, 600, 1500, 3000)
    model = rx.signals.SaturationRecovery()
    signal = model(torch.ones(4, dtype=torch.float64), torch.tensor([300.0, 500, 800, 1200]).double(), times)
    check(lambda s: rx.fitting.nlls(s, times, model=model).maps["t"], signal + 0.01 * torch.randn(4, 5).double())


@pytest.mark.parametrize("name", ["t1rho", "t2", "m0"])
def test_gradient_of_a_joint_fit(name):
    late = noisy(3, PROTOCOL.contrasts[1].times_ms, seed=1)[:, 1:]
    signal = torch.cat((noisy(3), late), dim=1)
    check(lambda s: rx.fit_joint(s, PROTOCOL).maps[name], signal)


def test_gradient_along_any_axis_and_through_a_mask():
    signal, mask = noisy(6).reshape(2, 3, 4), torch.tensor([[True, False, True], [True, True, False]])
    check(lambda s: rx.fit(s, TIMES, dim=-1, mask=mask, chunk_size=2).maps["t"][mask], signal)


def test_a_sample_that_is_not_used_has_no_gradient():
    signal = noisy(3)
    signal[1, 2] = torch.nan
    signal[2, 0] = 50.0
    signal.requires_grad_()
    rx.fit(signal, TIMES, saturation=40.0).maps["t"].sum().backward()
    assert torch.isfinite(signal.grad).all()
    unused = torch.zeros(3, 4, dtype=torch.bool)
    unused[1, 2] = unused[2, 0] = True
    assert ((signal.grad == 0) == unused).all()


def test_failed_voxels_have_no_gradient_and_harm_no_other():
    good = noisy(1)
    bad = torch.tensor(
        [[0, 0, 0, 0], [1, 2, 3, 4], [torch.nan] * 4, [1, torch.nan, torch.nan, torch.nan]], dtype=torch.float64
    )
    signal = torch.cat((good, bad, good)).requires_grad_()
    result = rx.fit(signal, TIMES)
    result.maps["t"][result.ok].sum().backward()
    assert (signal.grad[1:5] == 0).all()
    torch.testing.assert_close(signal.grad[0], signal.grad[5])
    assert (signal.grad[0] != 0).all()


def test_a_mean_over_failed_voxels_leaves_finite_gradients():
    signal = torch.cat((noisy(3), torch.zeros(1, 4, dtype=torch.float64))).requires_grad_()
    rx.fit(signal, TIMES).maps["t"].nanmean().backward()
    assert torch.isfinite(signal.grad).all()


def test_a_t_at_its_bound_stays_there():
    signal = torch.exp(-torch.tensor(TIMES, dtype=torch.float64) / 40)[None].requires_grad_()
    result = rx.fit(signal, TIMES, bounds=(5, 20))
    (by_t,) = torch.autograd.grad(result.maps["t"].sum(), signal, retain_graph=True)
    assert (by_t == 0).all()
    check(lambda s: rx.fit(s, TIMES, bounds=(5, 20)).maps["m0"], signal.detach())


def test_numbers_are_those_without_gradient():
    signal = noisy(50)
    plain, carrying = rx.fit(signal, TIMES), rx.fit(signal.clone().requires_grad_(), TIMES)
    assert torch.equal(plain.maps["t"], carrying.maps["t"])
    assert carrying.maps["t"].requires_grad
    assert not carrying.std["t"].requires_grad
    with torch.no_grad():
        assert not rx.fit(signal.clone().requires_grad_(), TIMES).maps["t"].requires_grad
    with torch.inference_mode():
        assert torch.equal(rx.fit(signal.clone(), TIMES).maps["t"], plain.maps["t"])


def test_a_fit_can_be_a_layer():
    """Images are brought nearer to a wanted map by gradient descent through the fit."""
    signal = noisy(20).float()
    gain = torch.zeros(4, requires_grad=True)
    optimizer = torch.optim.Adam([gain], lr=0.02)
    errors = []
    for _ in range(60):
        optimizer.zero_grad()
        error = (rx.fit(signal * torch.exp(gain), TIMES).maps["t"].median() - 60).abs()
        error.backward()
        optimizer.step()
        errors.append(error.item())
    assert errors[-1] < 0.1 * errors[0]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
def test_a_t_at_its_bound_has_no_gradient_in_any_precision(dtype):
    """5000 has no bfloat16; 4992 is the nearest, and also that of a T below the bound."""
    flat = torch.full((2, 4), 100.0, dtype=dtype, requires_grad=True)
    result = rx.fit(flat, TIMES)
    assert (result.status == rx.FitStatus.AT_BOUND).all()
    (gradient,) = torch.autograd.grad(result.maps["t"].sum(), flat)
    assert (gradient == 0).all()
    images = torch.full((2, 7), 100.0, dtype=dtype, requires_grad=True)
    joint = rx.fit_joint(images, rx.protocols.LIVER_T1RHO_T2)
    (gradient,) = torch.autograd.grad(joint.maps["t1rho"].sum() + joint.maps["t2"].sum(), images)
    assert (gradient == 0).all()


def test_torch_func_takes_the_gradient_of_a_fit():
    signal = noisy(5)
    found = torch.func.grad(lambda s: rx.fit(s, TIMES).maps["t"].sum())(signal)
    signal.requires_grad_()
    (expected,) = torch.autograd.grad(rx.fit(signal, TIMES).maps["t"].sum(), signal)
    torch.testing.assert_close(found, expected)


def test_a_second_derivative_is_refused():
    signal = noisy(3).requires_grad_()
    for maps in (rx.fit(signal, TIMES).maps, rx.fit(signal, TIMES, bounds=(5, 20)).maps):
        (gradient,) = torch.autograd.grad(maps["t"].sum() + signal.sum(), signal, create_graph=True)
        with pytest.raises(NotImplementedError, match="second derivatives of a fit"):
            gradient.square().sum().backward()


@pytest.mark.parametrize("method", ["nlls", "two-point", "log-linear", "rician"])
def test_forward_mode_is_refused(method):
    signal, options = noisy(3), {"sigma": 0.03} if method == "rician" else {}
    with pytest.raises(NotImplementedError, match="forward-mode tangent"):
        torch.func.jvp(
            lambda s: rx.fit(s, TIMES, method=method, **options).maps["t"], (signal,), (torch.ones_like(signal),)
        )
    with torch.autograd.forward_ad.dual_level(), pytest.raises(NotImplementedError, match="forward-mode tangent"):
        rx.fit_joint(torch.autograd.forward_ad.make_dual(torch.ones(1, 7), torch.ones(1, 7)), PROTOCOL)
