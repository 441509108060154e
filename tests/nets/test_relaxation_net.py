import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import relaxnet as rx

ALL = {"uncertainty": "heteroscedastic", "amplitude": True}
SETTINGS = settings(max_examples=20)
VARIANTS = [
    {},
    ALL,
    {"inputs": "any", **ALL},
    {"norm": "group", "up": "bilinear", **ALL},
    {"dims": 3, **ALL},
]


def images_for(net, batch=2, side=16):
    generator = torch.Generator().manual_seed(1)
    sides = [side] * net.dims
    return torch.rand(batch, len(net.input_channels), *sides, generator=generator) + 0.1


def set_heads(net, weight, bias):
    for decoder in net.backbone.decoders:
        torch.nn.init.constant_(decoder.head.weight, weight)
        torch.nn.init.constant_(decoder.head.bias, bias)


# --- shapes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("uncertainty", [None, "heteroscedastic"])
@pytest.mark.parametrize("amplitude", [True, False])
@pytest.mark.parametrize("sides", [(3, 5), (17, 20), (3, 5, 9)])
def test_it_answers_what_it_was_made_to(make_net, uncertainty, amplitude, sides):
    net = make_net(uncertainty=uncertainty, amplitude=amplitude, dims=len(sides))
    output = net(torch.rand(2, 3, *sides))
    assert output.maps_ms.shape == (2, 2, *sides)
    assert output.valid.shape == (2, *sides)
    assert output.log_scale is None if uncertainty is None else output.log_scale.shape == (2, 2, *sides)
    assert output.m0.shape == (2, 1, *sides) if amplitude else output.m0 is None


def test_other_protocols_have_other_tasks(make_net):
    protocol = rx.Protocol(tuple(rx.Contrast(name, (0, 20, 40)) for name in ("a", "b", "c")), shared_first=True)
    output = make_net("long", protocol, depth=1, **ALL)(torch.rand(1, 4, 8, 8))
    assert output.maps_ms.shape == output.log_scale.shape == (1, 3, 8, 8)
    assert output.m0.shape == (1, 1, 8, 8)


# --- the scale of the images --------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", VARIANTS)
@pytest.mark.parametrize("exponent", [-100, -1, 20, 100])
def test_powers_of_two_change_no_bit_of_the_maps(make_net, options, exponent):
    net = make_net(**options)
    images, factor = images_for(net), 2.0**exponent
    output, scaled = net(images), net(images * factor)
    assert torch.equal(scaled.maps_ms, output.maps_ms)
    assert torch.equal(net.scale(images * factor), net.scale(images) * factor)
    if options:
        assert torch.equal(scaled.m0, output.m0 * factor)
        torch.testing.assert_close(
            scaled.log_scale - output.log_scale, torch.full_like(output.maps_ms, math.log(factor))
        )


@given(st.floats(1e-6, 1e6), st.sampled_from(VARIANTS))
@SETTINGS
def test_maps_do_not_depend_on_the_scale_of_the_images_and_the_rest_carries_it(make_net, factor, options):
    net = make_net(**options)
    images = images_for(net)
    output, scaled = net(images), net(images * factor)
    torch.testing.assert_close(scaled.maps_ms, output.maps_ms, rtol=1e-5, atol=0)
    if options:
        torch.testing.assert_close(scaled.m0, output.m0 * factor, rtol=1e-5, atol=0)
        torch.testing.assert_close(scaled.log_scale, output.log_scale + math.log(factor), rtol=0, atol=1e-5)


def test_one_scale_for_all_images_of_a_subject(make_net):
    net = make_net()
    images = images_for(net)
    scale = net.scale(images)
    assert scale.shape == (2, 1, 1, 1)
    torch.testing.assert_close(scale[1].squeeze(), images[1].square().mean().sqrt())
    one_is_brighter = images * torch.tensor([1.0, 2.0, 1.0]).reshape(1, 3, 1, 1)
    assert not torch.allclose(net(one_is_brighter).maps_ms, net(images).maps_ms)


def test_the_scale_is_that_of_the_finite_values(make_net):
    net = make_net()
    images = images_for(net)
    images[0, 1, :8] = torch.nan
    images[0, 2, 3, 4] = torch.inf
    finite = images[0][torch.isfinite(images[0])]
    torch.testing.assert_close(net.scale(images)[0].squeeze(), finite.square().mean().sqrt())


@pytest.mark.parametrize("value", [1e-44, 1e-38, 1e-25, 1e25, 3e38])
def test_squares_neither_overflow_nor_vanish(make_net, value):
    net = make_net()
    images = torch.zeros(1, 3, 16, 16)
    images[0, 0, 4, 4] = value
    scale = net.scale(images)
    assert torch.isfinite(scale).all()
    assert (scale > 0).all()
    assert torch.isfinite(net(images).maps_ms).all()
    if value >= 1e-25:
        torch.testing.assert_close(scale.item(), value / math.sqrt(images.numel()), rtol=1e-5, atol=0)


# --- bounds and starts --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weight", [0.0, 1e3, -1e3])
@pytest.mark.parametrize("options", VARIANTS[1:])
def test_answers_stay_within_their_bounds_whatever_the_weights(make_net, weight, options):
    net = make_net(bounds_ms=(10, 200), **options)
    set_heads(net, weight, weight)
    images = images_for(net)
    maps, _, log_scale, m0 = net(images)
    assert all(torch.isfinite(answer).all() for answer in (maps, log_scale, m0))
    assert maps.min() >= 10 * (1 - 1e-6)
    assert maps.max() <= 200 * (1 + 1e-6)
    assert m0.min() > 0
    scale = net.scale(images)
    assert (log_scale - scale.log()).abs().max() <= 10 + 1e-5
    if weight == 0:
        torch.testing.assert_close(maps, torch.full_like(maps, 40.0))
        torch.testing.assert_close(m0, scale.expand_as(m0))
        torch.testing.assert_close(log_scale, scale.log().expand_as(log_scale))


@pytest.mark.parametrize("bounds", [(5, 400), (50, 100), (1, 30), (39.9, 40.1)])
def test_it_starts_at_a_plausible_value_inside_the_bounds(make_net, bounds):
    net = make_net(bounds_ms=bounds)
    set_heads(net, 0.0, 0.0)
    value = net(torch.rand(1, 3, 8, 8)).maps_ms.mean().item()
    assert bounds[0] < value < bounds[1]
    if bounds[0] < 30 and bounds[1] > 60:
        assert math.isclose(value, 40, rel_tol=1e-5)


def test_an_untrained_network_is_about_one_in_its_own_units(make_net):
    net = make_net(base=16, **ALL)
    images = images_for(net) * 300
    output, scale = net(images), net.scale(images)
    assert 0.3 < (output.m0 / scale).median() < 3
    assert 0.3 < (output.log_scale.exp() / scale).median() < 3


def test_a_scale_at_its_bound_comes_back(make_net):
    net = make_net(**ALL)
    set_heads(net, 0.0, 30.0)
    net(images_for(net)).log_scale.mean().backward()
    assert net.backbone.decoders[1].head.bias.grad.abs().min() > 1e-4


# --- bad voxels ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spoiler", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("options", VARIANTS)
def test_neighbours_of_a_spoiled_voxel_see_a_zero_there(make_net, spoiler, options):
    net = make_net(**options)
    images = images_for(net)
    at = (0, 1, *[5] * net.dims)
    images[at] = spoiler
    output = net(images)
    invalid = torch.zeros_like(output.valid)
    invalid[at[:1] + at[2:]] = True
    assert torch.equal(~output.valid, invalid)
    assert all(torch.isfinite(values).all() for values in output if values is not None)
    images[at] = 0
    # Equal but for the scale of the subject, for which one value less counts.
    torch.testing.assert_close(output.maps_ms[0], net(images).maps_ms[0], rtol=50 / images[0].numel(), atol=0)
    assert torch.equal(output.maps_ms[1], net(images).maps_ms[1])


def test_voxels_where_all_images_are_zero_are_not_valid(make_net):
    net = make_net()
    images = images_for(net)
    images[0, :, 2, 3] = 0
    images[1, :2, 2, 3] = 0
    valid = net(images).valid
    assert not valid[0, 2, 3]
    assert valid.sum() == valid.numel() - 1


@pytest.mark.parametrize(
    ("value", "training"),
    [
        (0.0, True),
        (0.0, False),
        (7.0, True),
        (7.0, False),
        (1e30, True),
        (1e-30, True),
        (torch.nan, True),
        (-torch.inf, False),
    ],
)
@pytest.mark.parametrize("options", VARIANTS)
def test_gradients_are_finite_for_all_images(make_net, value, training, options):
    net = make_net(**options).train(training)
    images = images_for(net)
    images[0] = value
    images.requires_grad_()
    output = net(images)
    # In the units of the network, as a loss would have them: 1e30 has no square.
    scale = net.scale(images).detach()
    loss = output.maps_ms.sum()
    if options:
        loss = loss + (output.m0 / scale).sum() + (output.log_scale - scale.log()).sum()
    loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in net.parameters())
    assert torch.isfinite(images.grad).all()


@pytest.mark.parametrize("options", VARIANTS)
def test_every_weight_learns(make_net, options):
    net = make_net(**options).train()
    output = net(images_for(net))
    sum(answer.square().sum() for answer in output if answer is not None and answer.is_floating_point()).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


def test_heads_keep_their_precision_under_autocast(make_net):
    net = make_net(**ALL)
    images = images_for(net)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = net(images)
    assert {output.maps_ms.dtype, output.m0.dtype, output.log_scale.dtype} == {torch.float32}
    torch.testing.assert_close(output.maps_ms, net(images).maps_ms, rtol=0.2, atol=0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda make: make(inputs="tall"), "inputs='tall'"),
        (lambda make: make(bounds_ms=(100, 10)), "smallest < largest"),
        (lambda make: make(bounds_ms=(0, 10)), "0 < smallest"),
        (lambda make: make(dims=4), "dims=4: it is 2 or 3"),
        (lambda make: make(norm="layer"), "norm='layer'"),
        (
            lambda make: make(uncertainty="laplace"),
            "uncertainty='laplace': it is 'hetero.*' or 'faithful' or None",
        ),
        (lambda make: make()(torch.ones(1, 7, 8, 8)), r"\(batch, 3, height, width\).*images\[:, \(0, 1, 4\)\]"),
        (lambda make: make().scale(torch.ones(1, 7, 8, 8)), r"\(batch, 3, height, width\)"),
        (lambda make: make(dims=3)(torch.ones(1, 3, 8, 8)), r"\(batch, 3, depth, height, width\)"),
    ],
)
@pytest.mark.usefixtures("as_user")
def test_bad_arguments(make_net, call, message):
    with pytest.raises(ValueError, match=message):
        call(make_net)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("estimates", [(0.0, 1.5, 3.0, 6.0), (1.5,), (0.0,)], ids=str)
@pytest.mark.parametrize("inputs", ["short", "any"])
def test_autocast_does_not_touch_initial_estimates(make_net, dtype, estimates, inputs):
    """An untrained network predicts their mean; where the background is zero, half precision would divide 0 by 0."""
    net = make_net(inputs=inputs, initial_estimates=estimates)
    subject = rx.phantom.liver_cohort(n_subjects=1, slices=1, shape=(64, 64), snr=20, seed=0)[0]
    images = subject.images * (subject.labels > 0).unsqueeze(1)
    own = images[:, net.input_channels]
    expected = net(own).maps_ms
    with torch.autocast("cpu", dtype):
        found = net(own).maps_ms
    assert torch.isfinite(found).all()
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_a_network_of_half_precision_takes_images_of_any_size(make_net, dtype):
    net = make_net(initial_estimates=(0.0, 1.5))
    images = 7e4 * torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))  # beyond float16
    expected = net.predict(images)["t2"]
    found = net.to(dtype).predict(images)["t2"]
    torch.testing.assert_close(found, expected, rtol=0.02, atol=0)
