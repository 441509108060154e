import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import correlate1d

import relaxnet as rx
from relaxnet.nets._initial_estimates import initial_estimates
from relaxnet.nets._smooth import smooth

PROTOCOL = rx.protocols.LIVER_T1RHO_T2
BOUNDS = (5.0, 400.0)


def decays(t1rho, t2):
    times = [contrast.times_ms for contrast in PROTOCOL.contrasts]
    images = [math.exp(-t / t1rho) for t in times[0]] + [math.exp(-t / t2) for t in times[1][1:]]
    return torch.tensor(images).reshape(1, 7, 1, 1).expand(1, 7, 6, 7)


def initial_estimate(channels, images, mask, width):
    """Return the only estimate of these bounds."""
    counted = mask[..., None, None].expand_as(images)
    both = initial_estimates(PROTOCOL, channels, images, counted, (BOUNDS, BOUNDS), (width,), amplitude=True)
    return torch.cat(both[0], dim=1), both[1][:, 0]


def times_of(estimates):
    low, high = BOUNDS
    return low * torch.exp((estimates + 1) / 2 * math.log(high / low))


@given(
    t=st.tuples(st.floats(6, 380), st.floats(6, 380)),
    width=st.sampled_from([0.0, 1.5]),
    name=st.sampled_from(["short", "middle", "long"]),
)
def test_without_noise_an_estimate_is_the_truth(t, width, name):
    channels = PROTOCOL.input_sets[name]
    images = decays(*t)[:, list(channels)]
    mask = torch.ones(1, 3, dtype=torch.bool)
    times, amplitude = initial_estimate(channels, 3 * images, mask, width)
    torch.testing.assert_close(times_of(times)[0, :, 3, 3], torch.tensor(t), rtol=1e-3, atol=0)
    torch.testing.assert_close(amplitude, torch.full((1, 1, 6, 7), 3.0), rtol=1e-3, atol=0)


def test_an_estimate_is_a_weighted_line_through_logarithms():
    images = decays(45, 34) * (1 + 0.1 * torch.randn(1, 7, 6, 7, generator=torch.Generator().manual_seed(0)))
    mask = torch.ones(1, 7, dtype=torch.bool)
    found = times_of(initial_estimate(tuple(range(7)), images, mask, 0.0)[0])
    for k, contrast in enumerate(PROTOCOL.contrasts):
        signal = images[0, list(PROTOCOL.images_of(contrast.name)), 2, 3].numpy()
        slope, _ = np.polyfit(contrast.times_ms, np.log(signal), deg=1, w=signal)  # it squares the weights
        np.testing.assert_allclose(found[0, k, 2, 3], -1 / slope, rtol=1e-3)


@pytest.mark.parametrize("channels", [(0, 1, 4), tuple(range(7))])
def test_amplitudes_do_not_change_times(channels):
    images = decays(45, 34) * (1 + 0.1 * torch.randn(1, 7, 6, 7, generator=torch.Generator().manual_seed(0)))
    given = PROTOCOL, channels, images[:, channels], torch.ones(1, len(channels), 6, 7, dtype=torch.bool)
    with_them, without = (
        initial_estimates(*given, (BOUNDS, BOUNDS), (0.0, 1.5), amplitude=wanted) for wanted in (True, False)
    )
    assert without[1] is None
    torch.testing.assert_close(torch.cat(without[0], dim=1), torch.cat(with_them[0], dim=1))


@pytest.mark.parametrize("amplitude", [False, True])
def test_a_contrast_without_images_among_the_inputs_has_no_estimate(amplitude):
    contrasts = tuple(rx.Contrast(name, times_ms=(0, 10, 30)) for name in ("t1rho", "t2"))
    protocol = rx.Protocol(contrasts, shared_first=False)
    net = rx.nets.RelaxationNet(
        protocol, (0, 1), base=4, depth=1, amplitude=amplitude, initial_estimates=(0, 1.5, "low-rank")
    ).eval()
    images = 300 * decays(45, 34)[:, :2]
    t1rho, t2 = net(images).maps_ms[0].detach()
    np.testing.assert_allclose(t1rho, 45, rtol=1e-3)
    assert (t2 == t2[0, 0]).all()


@pytest.mark.parametrize("width", [0.4, 1.5, 6.0])
@pytest.mark.parametrize("shape", [(3, 5), (32, 33), (70, 1), (4, 40, 37)])
def test_smoothing_is_a_truncated_gaussian_with_repeated_edges(shape, width):
    images = torch.rand(2, 3, *shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = images.numpy()
    for axis in range(2, images.ndim):
        reach = math.ceil(3 * width)
        kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / width) ** 2)
        expected = correlate1d(expected, kernel / kernel.sum(), axis, mode="nearest")
    np.testing.assert_allclose(smooth(images, width), expected, rtol=1e-6)


def test_a_wide_estimate_has_less_noise():
    noise = 0.05 * torch.randn(1, 7, 40, 40, generator=torch.Generator().manual_seed(0))
    images = decays(45, 34)[..., :1, :1] + noise
    mask = torch.ones(1, 7, dtype=torch.bool)
    narrow, wide = (initial_estimate(tuple(range(7)), images, mask, width)[0][0] for width in (0.0, 2.0))
    assert (wide.std((-1, -2)) < 0.3 * narrow.std((-1, -2))).all()


def test_what_is_no_input_gives_no_estimate():
    mask = torch.tensor([[1, 0, 0, 1, 0, 0, 0]], dtype=torch.bool)
    images = torch.where(mask[..., None, None], decays(45, 34), 0)
    (t1rho, t2), amplitude = (of[0] for of in initial_estimate(tuple(range(7)), images, mask, 1.0))
    assert (t2 == 0).all()
    np.testing.assert_allclose(amplitude, 1, rtol=1e-3)
    nothing = torch.zeros_like(mask)
    assert (initial_estimate(tuple(range(7)), 0 * images, nothing, 1.0)[1] == 1).all()
    np.testing.assert_allclose(times_of(t1rho), 45, rtol=1e-3)


@pytest.mark.parametrize(("dims", "inputs"), [(2, "any"), (3, "any"), (2, "long"), (3, (0, 1, 2, 4))])
def test_networks_with_initial_estimates(dims, inputs):
    net = rx.nets.RelaxationNet(PROTOCOL, inputs, base=4, depth=1, dims=dims, initial_estimates=(0, 1.5)).eval()
    images = torch.rand(2, len(net.input_channels), *(6, 7, 8)[:dims])
    maps = net(images).maps_ms
    assert torch.isfinite(maps).all()
    torch.testing.assert_close(net(1e6 * images).maps_ms, maps, rtol=1e-3, atol=0)
    again = rx.nets.RelaxationNet.from_config(net.config).eval()
    again.load_state_dict(net.state_dict())
    assert torch.equal(again(images).maps_ms, maps)
    assert again.initial_estimates == (0.0, 1.5)


@given(t=st.tuples(st.floats(7, 300), st.floats(7, 300)), name=st.sampled_from(["short", "middle", "long"]))
def test_an_untrained_network_outputs_its_estimates(t, name):
    net = rx.nets.RelaxationNet(PROTOCOL, name, base=4, depth=1, amplitude=True, initial_estimates=(0, 1.5)).eval()
    output = net(300 * decays(*t)[:, net.input_channels])
    torch.testing.assert_close(output.maps_ms[0, :, 3, 3], torch.tensor(t), rtol=1e-3, atol=0)
    torch.testing.assert_close(output.m0, torch.full((1, 1, 6, 7), 300.0), rtol=1e-3, atol=0)


def test_a_lost_voxel_does_not_pull_at_the_estimates_of_its_neighbours():
    net = rx.nets.RelaxationNet(PROTOCOL, "any", base=4, depth=1, initial_estimates=(0, 1.5)).eval()
    images = decays(45, 34).clone()
    images[0, 3, 2, 2] = torch.nan
    t1rho, t2 = net(images).maps_ms[0]
    others = torch.ones(6, 7, dtype=torch.bool)
    others[2, 2] = False
    np.testing.assert_allclose(t1rho[others].detach(), 45, rtol=1e-3)
    np.testing.assert_allclose(t2[others].detach(), 34, rtol=1e-3)


def test_weights_blend_estimates_and_corrections_correct_them():
    outputs = torch.zeros(1, 6, 8, 8)  # corrections of both contrasts, then weights of the narrow and the wide estimate

    class Fixed(torch.nn.Module):
        def forward(self, features):
            return outputs.expand(len(features), -1, -1, -1)

    backbone = rx.nets.as_backbone(Fixed(), in_channels=11, out_channels=6)
    net = rx.nets.RelaxationNet(PROTOCOL, range(7), initial_estimates=(0, 2), bounds_ms=BOUNDS, backbone=backbone)
    images = decays(45, 34)[..., :1, :1] * (
        1 + 0.1 * torch.randn(1, 7, 8, 8, generator=torch.Generator().manual_seed(0))
    )
    mask = torch.ones(1, 7, dtype=torch.bool)
    narrow, wide = (times_of(initial_estimate(tuple(range(7)), images, mask, width)[0]) for width in (0.0, 2.0))
    torch.testing.assert_close(net(images).maps_ms, (narrow * wide).sqrt(), rtol=1e-4, atol=0)
    outputs[:, 2:4] = 50.0
    torch.testing.assert_close(net(images).maps_ms, narrow, rtol=1e-4, atol=0)
    outputs[:, 4:6] = 100.0
    torch.testing.assert_close(net(images).maps_ms, wide, rtol=1e-4, atol=0)
    outputs[:, :2] = 0.1
    assert (net(images).maps_ms > wide).all()


def test_dark_images_give_finite_estimates():
    net = rx.nets.RelaxationNet(PROTOCOL, "any", base=4, depth=1, initial_estimates=(0, 2)).eval()
    for images in (torch.zeros(1, 7, 8, 8), torch.full((1, 7, 8, 8), torch.nan), -torch.rand(1, 7, 8, 8)):
        assert torch.isfinite(net(images).maps_ms).all()


@pytest.mark.parametrize("width", [-1.0, math.inf, math.nan])
@pytest.mark.usefixtures("as_user")
def test_a_width_that_is_none(width):
    with pytest.raises(ValueError, match=r"initial_estimates=.* a width is a number of voxels"):
        rx.nets.RelaxationNet(PROTOCOL, "any", initial_estimates=(width,))


def test_what_is_kept_from_inference_mode_serves_a_later_gradient(make_net):
    net, sides = make_net(initial_estimates=(1.5,)), (24, 40)  # sides that no other test has smoothed
    with torch.inference_mode():
        net(torch.rand(1, 3, *sides))
    images = torch.rand(1, 3, *sides, requires_grad=True)
    net(images).maps_ms.sum().backward()
    assert torch.isfinite(images.grad).all()


class TestLowRank:
    """Estimates from images that local low rank has denoised."""

    @pytest.mark.parametrize("inputs", ["long", (0, 1, 2, 4)])
    def test_they_are_fits_of_denoised_images(self, make_net, inputs):
        images = rx.phantom.liver_cohort(1, 2, shape=(32, 34), snr=20, seed=1)[0].images
        net = make_net(inputs, initial_estimates=("low-rank",))
        own = images[:, net.input_channels]
        denoised = make_net(inputs, initial_estimates=(0,))(rx.denoise.low_rank(own)).maps_ms
        torch.testing.assert_close(net(own).maps_ms, denoised, rtol=1e-3, atol=0)

    def test_each_sample_is_denoised_by_its_own_inputs(self, make_net):
        images = rx.phantom.liver_cohort(1, 3, shape=(32, 34), snr=20, seed=1)[0].images
        net = make_net("any", initial_estimates=("low-rank", 3))
        sets = ["short", (0, 3, 5, 6), "short"]
        together = net(images, sets).maps_ms
        images = torch.where(rx.nets.input_mask(PROTOCOL, sets, 3)[..., None, None], images, torch.nan)
        for k, own in enumerate(sets):
            torch.testing.assert_close(net(images[[k]], own).maps_ms, together[[k]], rtol=1e-4, atol=0)

    def test_a_volume_is_denoised_slice_by_slice_with_one_noise_level(self, make_net):
        images = rx.phantom.liver_cohort(1, 3, shape=(32, 34), snr=20, seed=1)[0].images[:, (0, 1, 4)]
        volume = make_net(dims=3, depth=1, initial_estimates=("low-rank",))(images.movedim(0, 1)[None]).maps_ms[0]
        slices = make_net(initial_estimates=("low-rank",))(images).maps_ms.movedim(0, 1)
        assert ((volume / slices).log().abs() < 0.1).float().mean() > 0.9

    def test_a_missing_value_costs_its_voxel_alone(self, make_net):
        net = make_net("any", initial_estimates=("low-rank",))
        images = 1000 * decays(45, 34).clone()
        images[0, 3, 2, 2] = torch.nan
        t1rho, t2 = net(images).maps_ms[0].detach()
        np.testing.assert_allclose(t2, 34, rtol=1e-3)
        t1rho[2, 2] = 45
        np.testing.assert_allclose(t1rho, 45, rtol=1e-3)

    def test_strange_images_give_finite_estimates_and_gradients(self, make_net):
        net = make_net("any", initial_estimates=("low-rank",))
        strange = (torch.zeros(1, 7, 8, 8), torch.full((1, 7, 8, 8), torch.nan), torch.ones(2, 7, 1, 9))
        for images in (*strange, 1e30 * torch.rand(1, 7, 9, 3), -torch.rand(1, 7, 8, 8)):
            images.requires_grad_()
            maps = net(images).maps_ms
            maps.sum().backward()
            assert torch.isfinite(maps).all()
            assert torch.isfinite(images.grad).all()

    @pytest.mark.parametrize("given", ["low-rank", ("low rank",), (None,), 1.5])
    @pytest.mark.usefixtures("as_user")
    def test_words_that_are_none(self, given):
        with pytest.raises(ValueError, match=r"initial_estimates=.* sequence of these and of 'low-rank'"):
            rx.nets.RelaxationNet(PROTOCOL, "any", initial_estimates=given)


@pytest.mark.parametrize("estimates", [(0.0, 1.5), (0.0, "low-rank")])
def test_a_gradient_with_respect_to_images_is_the_same_by_functions(make_net, estimates):
    net = make_net(inputs="middle", initial_estimates=estimates)
    images = (300 * decays(45, 34)[:, [0, 2, 5]]).clone().requires_grad_()
    (expected,) = torch.autograd.grad(net(images).maps_ms.sum(), images)
    found = torch.func.grad(lambda given: net(given).maps_ms.sum())(images.detach())
    torch.testing.assert_close(found, expected)


def test_subjects_are_mapped_over(make_net):
    net = make_net(inputs="middle", initial_estimates=(0.0, 1.5))
    images = (
        300
        * decays(45, 34)[:, [0, 2, 5]].repeat(3, 1, 1, 1)
        * torch.rand(3, 3, 6, 7, generator=torch.Generator().manual_seed(0))
    )
    mapped = torch.func.vmap(lambda one: net(one[None]).maps_ms[0])(images)
    torch.testing.assert_close(mapped, torch.cat([net(one[None]).maps_ms for one in images]))
