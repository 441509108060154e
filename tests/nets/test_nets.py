import json
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import relaxnet as rx

PROTOCOL = rx.protocols.LIVER_T1RHO_T2


def net(**options):
    torch.manual_seed(0)
    return rx.nets.RelaxationNet(PROTOCOL, **{"inputs": "short", "base": 4, "depth": 3, **options}).eval()


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 4))
@settings(max_examples=25)
def test_any_size_comes_back(height, width, depth):
    unet = rx.nets.UNet(2, 3, base=2, depth=depth).eval()
    assert unet(torch.rand(1, 2, height, width)).shape == (1, 3, height, width)


def test_padding_leaves_sizes_that_fit_alone():
    unet = rx.nets.UNet(2, 3, base=4, depth=2).eval()
    images = torch.rand(1, 2, 32, 32)
    torch.testing.assert_close(unet(images), unet(images.contiguous(memory_format=torch.channels_last)))


def test_size_is_that_of_the_network_of_the_paper():
    parameters = sum(p.numel() for p in rx.nets.UNet(3, 2, base=16, depth=4).parameters())
    assert 1.93e6 < parameters < 1.95e6


@given(st.floats(1e-6, 1e6))
@settings(max_examples=20)
def test_maps_do_not_depend_on_the_scale_of_the_images(factor):
    model = net()
    images = torch.rand(2, 3, 16, 16) + 0.1
    torch.testing.assert_close(model(images * factor).maps_ms, model(images).maps_ms, rtol=1e-4, atol=0)


def test_one_scale_for_all_images_of_a_subject():
    model = net()
    images = torch.rand(2, 3, 16, 16) + 0.1
    scale = model.scale(images)
    assert scale.shape == (2, 1, 1, 1)
    torch.testing.assert_close(scale[1].squeeze(), images[1].square().mean().sqrt())
    assert not torch.allclose(
        model(images * torch.tensor([1.0, 2.0, 1.0]).reshape(1, 3, 1, 1)).maps_ms, model(images).maps_ms
    )


@pytest.mark.parametrize("weight", [0.0, 1e3, -1e3])
def test_relaxation_times_stay_within_their_bounds_whatever_the_weights(weight):
    model = net(bounds_ms=(10, 200))
    torch.nn.init.constant_(model.backbone.head.weight, weight)
    torch.nn.init.constant_(model.backbone.head.bias, weight)
    maps = model(torch.rand(1, 3, 16, 16)).maps_ms
    assert torch.isfinite(maps).all()
    assert maps.min() >= 10 * (1 - 1e-6)
    assert maps.max() <= 200 * (1 + 1e-6)
    if weight == 0:
        torch.testing.assert_close(maps, torch.full_like(maps, 40.0))


@pytest.mark.parametrize("bounds", [(5, 400), (50, 100), (1, 30), (39.9, 40.1)])
def test_it_starts_at_a_plausible_value_inside_the_bounds(bounds):
    model = net(bounds_ms=bounds)
    torch.nn.init.zeros_(model.backbone.head.weight)
    torch.nn.init.zeros_(model.backbone.head.bias)
    value = model(torch.rand(1, 3, 8, 8)).maps_ms.mean().item()
    assert bounds[0] < value < bounds[1]
    if bounds[0] < 30 and bounds[1] > 60:
        assert math.isclose(value, 40, rel_tol=1e-5)


@pytest.mark.parametrize(
    "images", [torch.zeros(1, 3, 16, 16), torch.full((1, 3, 16, 16), 7.0)], ids=["zero", "constant"]
)
@pytest.mark.parametrize("training", [True, False])
def test_constant_images_give_finite_maps_and_gradients(images, training):
    model = net().train(training)
    model(images).maps_ms.sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


def test_every_weight_learns():
    model = net().train()
    model(torch.rand(2, 3, 16, 16)).maps_ms.sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


@pytest.mark.parametrize("inputs", ["short", "middle", "long", (0, 3), (6, 1, 0, 2)])
def test_inputs_and_configuration(inputs):
    model = net(inputs=inputs)
    assert model.input_channels == PROTOCOL.channels(inputs)
    again = rx.nets.RelaxationNet.from_config(json.loads(json.dumps(model.config))).eval()
    again.load_state_dict(model.state_dict())
    images = torch.rand(1, 7, 16, 16)[:, model.input_channels]
    assert torch.equal(again(images).maps_ms, model(images).maps_ms)
    assert again.config == model.config


def test_other_protocols_have_other_tasks():
    protocol = rx.Protocol(tuple(rx.Contrast(name, (0, 20, 40)) for name in ("a", "b", "c")), shared_first=True)
    model = rx.nets.RelaxationNet(protocol, inputs="long", base=2, depth=1)
    assert model(torch.rand(1, 4, 8, 8)).maps_ms.shape == (1, 3, 8, 8)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rx.nets.UNet(0, 1), "in_channels=0"),
        (lambda: rx.nets.UNet(1, 1, depth=0), "depth=0"),
        (lambda: rx.nets.UNet(2, 1, base=2, depth=1)(torch.ones(1, 3, 8, 8)), r"\(batch, 2, height, width\) is needed"),
        (lambda: rx.nets.UNet(2, 1, base=2, depth=1)(torch.ones(2, 8, 8)), r"\(2, 8, 8\)"),
        (lambda: net(inputs="tall"), "inputs='tall'"),
        (lambda: net(bounds_ms=(100, 10)), "shortest < longest"),
        (lambda: net(bounds_ms=(0, 10)), "0 < shortest"),
        (lambda: net()(torch.ones(1, 7, 8, 8)), r"\(batch, 3, height, width\).*images\[:, \(0, 1, 4\)\]"),
    ],
)
@pytest.mark.usefixtures("as_user")
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()
