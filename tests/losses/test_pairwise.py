import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import relaxnet as rx
from relaxnet.losses import pairwise_residual

PROTOCOL = rx.protocols.LIVER_T1RHO_T2
TIMES = (0.0, 10.0, 30.0, 50.0)
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")  # torch itself


def decaying(t, m0=1.0, times=TIMES):
    t = torch.as_tensor(t, dtype=torch.float64).reshape(1, -1)
    return rx.signals.MonoExponential()(torch.full_like(t, m0), t, times)


def written_out(images, t_ms, times):
    """The formula of the paper, word by word: all ordered pairs, each exponential for itself."""
    pairs = list(itertools.permutations(range(len(times)), 2))
    terms = [(images[:, i] - images[:, j] * torch.exp((times[j] - times[i]) / t_ms)).abs() for i, j in pairs]
    return sum(terms) / len(pairs)


every_kind = pytest.mark.parametrize("pairs", ["all", "forward", "orthogonal"])


@every_kind
@given(t=st.floats(5, 400), m0=st.floats(0.1, 1e4))
def test_the_true_map_leaves_no_residual(pairs, t, m0):
    t_ms = torch.tensor([[t]], dtype=torch.float64)
    assert pairwise_residual(decaying([t], m0), t_ms, TIMES, pairs=pairs) < 1e-9 * m0


@given(st.lists(st.floats(0, 100), min_size=8, max_size=8), st.lists(st.floats(5, 400), min_size=2, max_size=2))
def test_it_is_the_formula_of_the_paper(samples, t):
    images = torch.tensor(samples, dtype=torch.float64).reshape(1, 4, 2)
    t_ms = torch.tensor([t], dtype=torch.float64)
    torch.testing.assert_close(pairwise_residual(images, t_ms, TIMES), written_out(images, t_ms, TIMES))


@given(st.lists(st.floats(0, 100), min_size=2, max_size=2), st.floats(5, 400), st.floats(1, 100))
def test_forward_and_orthogonal_are_their_formulas(samples, t, gap):
    images = torch.tensor([samples], dtype=torch.float64)
    t_ms = torch.tensor([t], dtype=torch.float64)
    q = math.exp(-gap / t)
    forward = abs(samples[1] - q * samples[0])
    for pairs, expected in {"forward": forward, "orthogonal": forward / math.hypot(1, q)}.items():
        residual = pairwise_residual(images, t_ms, (0.0, gap), pairs=pairs)
        assert residual.item() == pytest.approx(expected, rel=1e-9, abs=1e-12)


@given(st.floats(0, 100), st.floats(0, 100), st.floats(5, 400))
def test_orthogonal_treats_both_images_of_a_pair_alike(first, second, t):
    """It is the distance of a point from a line: exchanging the axes turns q into 1/q, and changes nothing."""
    q = math.exp(-30 / t)
    residual = pairwise_residual(
        torch.tensor([[first, second]], dtype=torch.float64),
        torch.tensor([t], dtype=torch.float64),
        (0, 30),
        pairs="orthogonal",
    )
    assert residual.item() == pytest.approx(abs(first - second / q) / math.hypot(1, 1 / q), rel=1e-9, abs=1e-9)


@given(st.permutations(range(4)))
def test_order_of_the_images_does_not_matter(order):
    images, t_ms = torch.rand(2, 4, 3, 3, dtype=torch.float64), torch.rand(2, 3, 3, dtype=torch.float64) * 50 + 10
    permuted = pairwise_residual(images[:, order], t_ms, [TIMES[k] for k in order])
    torch.testing.assert_close(permuted, pairwise_residual(images, t_ms, TIMES))


@every_kind
def test_gradient_is_that_of_finite_differences(pairs, generator):
    images = torch.rand(1, 4, 6, dtype=torch.float64, generator=generator).requires_grad_()
    t_ms = (torch.rand(1, 6, dtype=torch.float64, generator=generator) * 50 + 10).requires_grad_()
    assert torch.autograd.gradcheck(lambda i, t: pairwise_residual(i, t, TIMES, pairs=pairs), (images, t_ms))


def spoiled(generator):
    """Images of which one voxel is not finite, and a map."""
    images = torch.rand(2, 7, 3, dtype=torch.float64, generator=generator) + 0.1
    images[0, 1, 1] = torch.nan
    return images, torch.rand(2, 2, 3, dtype=torch.float64, generator=generator) * 50 + 10


@every_kind
def test_further_derivatives_are_those_of_finite_differences(pairs, generator):
    images = torch.rand(1, 4, 3, dtype=torch.float64, generator=generator).requires_grad_()
    t_ms = (torch.rand(1, 3, dtype=torch.float64, generator=generator) * 50 + 10).requires_grad_()

    def residual(i, t):
        return pairwise_residual(i, t, TIMES, pairs=pairs)

    assert torch.autograd.gradgradcheck(residual, (images, t_ms))
    assert torch.autograd.gradcheck(residual, (images, t_ms), check_forward_ad=True, check_batched_grad=True)


@every_kind
def test_a_gradient_penalty_is_right(pairs, generator):
    """Its first derivative needs no gradient from outside, which once hid that there was no second one."""
    images = torch.rand(1, 7, 4, dtype=torch.float64, generator=generator)
    maps = (40 + torch.rand(1, 2, 4, dtype=torch.float64, generator=generator)).requires_grad_()
    constraint = rx.losses.PairwiseConstraint(PROTOCOL, pairs=pairs)

    def penalty(m):
        (slope,) = torch.autograd.grad((constraint(m, images) + m.square()).sum(), m, create_graph=True)
        return slope.square().sum()

    assert torch.autograd.gradcheck(penalty, (maps,))


@every_kind
def test_torch_func_transforms_it(pairs, generator):
    images, maps = spoiled(generator)
    constraint = rx.losses.PairwiseConstraint(PROTOCOL, pairs=pairs)

    def loss(m, i=images):
        return constraint(m, i).nansum()

    whole = maps.clone().requires_grad_()
    (slope,) = torch.autograd.grad(loss(whole), whole)
    torch.testing.assert_close(torch.func.grad(loss)(maps), slope)
    tangent = torch.func.jvp(loss, (maps,), (torch.ones_like(maps),))[1]
    torch.testing.assert_close(tangent, slope.sum())
    each = torch.func.vmap(lambda m, i: constraint(m[None], i[None])[0])(maps, images)
    torch.testing.assert_close(each, constraint(maps, images), equal_nan=True)
    by_sample = torch.func.vmap(torch.func.grad(lambda m, i: loss(m[None], i[None])))(maps, images)
    torch.testing.assert_close(by_sample, slope)
    hessian = torch.func.hessian(loss)(maps).reshape(12, 12)
    torch.testing.assert_close(hessian, torch.diag(hessian.diagonal()))
    assert (hessian.diagonal() != 0).sum() == 11


@every_kind
def test_short_times_stay_finite_in_single_precision(pairs):
    t_ms = torch.ones(1, 5, requires_grad=True)
    residual = pairwise_residual(torch.rand(1, 2, 5), t_ms, (0.0, 60.0), pairs=pairs)
    residual.sum().backward()
    assert torch.isfinite(residual).all()
    assert torch.isfinite(t_ms.grad).all()


def test_memory_beyond_images_and_maps_is_small():
    """Naive autograd keeps several maps a pair; this keeps one for the gradient, and works block by block."""
    images, t_ms = torch.rand(1, 32, 64, 64), torch.full((1, 64, 64), 40.0, requires_grad=True)
    residual = pairwise_residual(images, t_ms, tuple(float(k) for k in range(32)))
    inputs = {images.data_ptr(), t_ms.data_ptr()}  # are kept as they are
    saved = [tensor for tensor in residual.grad_fn.saved_tensors if tensor.data_ptr() not in inputs]
    assert sum(tensor.numel() for tensor in saved) == t_ms.numel()


def test_a_spoiled_voxel_is_nan_without_gradient():
    images = decaying([40.0, 40.0]).clone()
    images[0, 1, 0] = torch.nan
    t_ms = torch.full((1, 2), 50.0, dtype=torch.float64, requires_grad=True)
    residual = pairwise_residual(images, t_ms, TIMES)
    assert torch.isnan(residual).tolist() == [[True, False]]
    residual[~torch.isnan(residual)].sum().backward()
    assert t_ms.grad[0, 0] == 0
    assert t_ms.grad[0, 1] != 0


@every_kind
def test_signed_residuals_of_pairs_have_the_residual_as_their_mean(pairs):
    maps = torch.rand(2, 2, 3, 3, dtype=torch.float64) * 50 + 10
    images = torch.rand(2, 7, 3, 3, dtype=torch.float64)
    images[0, 4, 1, 1] = torch.nan
    constraint = rx.losses.PairwiseConstraint(PROTOCOL, pairs=pairs)
    signed = constraint.signed(maps, images)
    assert (signed[signed.isfinite()] < 0).any()
    torch.testing.assert_close(signed.abs().mean(2), constraint(maps, images), equal_nan=True)


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
        ((1, 2, 4, 4), (7,), "axis 1 needs all 7 images"),
        ((1, 2, 4, 4), (2, 7, 4, 4), "differ in batch or space"),
        ((1, 2, 4, 5), (1, 7, 4, 4), "differ in batch or space"),
        ((2,), (7,), "maps_ms has shape"),
    ],
)
@pytest.mark.usefixtures("as_user")
def test_shapes_that_do_not_fit(maps, images, message):
    with pytest.raises(ValueError, match=message):
        rx.losses.PairwiseConstraint(PROTOCOL)(torch.ones(maps), torch.ones(images))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pairs": "some"}, "pairs='some' is unknown: use one of"),
        ({"held_out_from": "mid"}, "mid"),
        ({"held_out_from": (0, 1, 2, 4)}, "leaves 1 of 4 images of t1rho"),
    ],
)
@pytest.mark.usefixtures("as_user")
def test_options_that_make_no_sense(options, message):
    with pytest.raises(ValueError, match=message):
        rx.losses.PairwiseConstraint(PROTOCOL, **options)
    if "pairs" in options:
        with pytest.raises(ValueError, match=message):
            pairwise_residual(torch.ones(1, 2), torch.ones(1), (0, 10), **options)


def test_contrasts_of_different_length_have_no_matching_pairs():
    protocol = rx.Protocol((rx.Contrast("t1rho", (0, 10, 30)), rx.Contrast("t2", (0, 20))), shared_first=True)
    with pytest.raises(ValueError, match="contrasts of \\[2, 3\\] images"):
        rx.losses.PairwiseConstraint(protocol).signed(torch.ones(1, 2, 4), torch.ones(1, 4, 4))
