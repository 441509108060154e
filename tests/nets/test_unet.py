import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import relaxnet as rx
from relaxnet.nets import UNet

VARIANTS = [
    {"dims": dims, "norm": norm, "up": up}
    for dims in (2, 3)
    for norm in ("batch", "group")
    for up in ("transposed", "bilinear")
]


def n_parameters(module):
    return sum(p.numel() for p in module.parameters())


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 4), st.sampled_from(VARIANTS[:4]))
@settings(max_examples=25)
def test_any_size_comes_back(height, width, depth, options):
    unet = UNet(2, 3, base=2, depth=depth, **options).eval()
    assert unet(torch.rand(1, 2, height, width)).shape == (1, 3, height, width)


@given(st.lists(st.integers(1, 11), min_size=3, max_size=3), st.sampled_from(VARIANTS[4:]))
@settings(max_examples=15)
def test_any_size_of_volume_comes_back(sides, options):
    unet = UNet(2, (3, 1), base=2, depth=2, **options).eval()
    assert [output.shape for output in unet(torch.rand(1, 2, *sides))] == [(1, 3, *sides), (1, 1, *sides)]


@pytest.mark.parametrize("sides", [(3, 5), (16, 17), (3, 5, 2)])
def test_edges_are_repeated(sides):
    unet = UNet(2, 1, base=2, depth=4, dims=len(sides)).eval()
    images = torch.rand(1, 2, *sides)
    padded = np.pad(images.numpy(), [(0, 0), (0, 0), *[(0, -side % 16) for side in sides]], mode="edge")
    inside = tuple(slice(side) for side in (1, 1, *sides))
    torch.testing.assert_close(unet(images), unet(torch.from_numpy(padded))[inside])


def test_memory_format_does_not_matter():
    unet = UNet(2, 3, base=4, depth=2).eval()
    images = torch.rand(1, 2, 32, 32)
    torch.testing.assert_close(unet(images), unet(images.contiguous(memory_format=torch.channels_last)))


def test_size_is_that_of_the_network_of_the_paper():
    assert n_parameters(UNet(3, 2)) == n_parameters(UNet(3, 2, norm="group")) == 1_942_594
    # Two convolutions of 3 x 3 become 3 x 3 x 3.
    assert 2.9 < n_parameters(UNet(3, 2, dims=3)) / n_parameters(UNet(3, 2)) < 3.0
    # One voxel is enlarged in place of four.
    lighter = n_parameters(UNet(3, 2)) - n_parameters(UNet(3, 2, up="bilinear"))
    assert lighter == sum(3 * 2 * width * width for width in (16, 32, 64, 128))


@pytest.mark.parametrize("options", VARIANTS)
def test_decoders_share_one_encoder(options):
    torch.manual_seed(0)
    unet = UNet(2, (3, 1), base=2, depth=2, **options)
    runs = []
    unet.down[0].register_forward_hook(lambda *_: runs.append(1))
    first, second = unet(torch.rand(2, 2, 8, 8, 8)[(..., *[0] * (3 - options["dims"]))])
    assert len(runs) == 1
    assert (first.shape[1], second.shape[1]) == (3, 1)
    first.square().sum().backward()
    assert all(p.grad is None for p in unet.decoders[1].parameters())
    for part in (unet.down, unet.decoders[0]):
        assert all(torch.isfinite(p.grad).all() and p.grad.abs().sum() > 0 for p in part.parameters())


def test_a_second_decoder_changes_nothing_for_the_first():
    both = UNet(2, (3, 1), base=4, depth=2).eval()
    alone = UNet(2, 3, base=4, depth=2).eval()
    alone.load_state_dict({name: w for name, w in both.state_dict().items() if not name.startswith("decoders.1")})
    images = torch.rand(1, 2, 16, 16)
    assert torch.equal(both(images)[0], alone(images))
    assert n_parameters(both) == n_parameters(alone) + n_parameters(both.decoders[1])


@pytest.mark.parametrize("dims", [2, 3])
def test_groups_leave_a_sample_alone_with_itself(dims):
    unet = UNet(2, 3, base=4, depth=2, dims=dims, norm="group").train()
    images = torch.rand(3, 2, *[8] * dims)
    torch.testing.assert_close(unet(images)[1:2], unet(images[1:2]))


@pytest.mark.parametrize("base", [1, 2, 3, 5, 8, 12, 16, 24, 32])
def test_groups_hold_two_channels_at_least(base):
    unet = UNet(1, 1, base=base, depth=1, norm="group")
    for layer in unet.modules():
        if isinstance(layer, nn.GroupNorm):
            assert layer.num_groups <= 8
            assert layer.num_channels == 1 or layer.num_groups <= layer.num_channels / 2
    assert torch.isfinite(unet(torch.rand(1, 1, 1, 1))).all()


@pytest.mark.parametrize("dims", [2, 3])
def test_convolution_of_a_voxel_and_interpolation_change_places(dims):
    convolve, interpolate = UNet(1, 1, base=2, depth=1, dims=dims, up="bilinear").decoders[0].up[0]
    features = torch.rand(1, 4, *[6] * dims)
    torch.testing.assert_close(interpolate(convolve(features)), convolve(interpolate(features)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: UNet(0, 1), "in_channels=0"),
        (lambda: UNet(1, ()), "out_channels=0"),
        (lambda: UNet(1, (2, -1)), "out_channels=-1"),
        (lambda: UNet(1, 1, base=0), "base=0"),
        (lambda: UNet(1, 1, depth=0), "depth=0"),
        (lambda: UNet(1, 1, dims=4), "dims=4: it is 2 or 3"),
        (lambda: UNet(1, 1, norm="instance"), "norm='instance': it is 'batch' or 'group'"),
        (lambda: UNet(1, 1, up="nearest"), "up='nearest': it is 'transposed' or 'bilinear'"),
        (lambda: UNet(2, 1, base=2, depth=1)(torch.ones(1, 3, 8, 8)), r"\(batch, 2, height, width\) is needed"),
        (lambda: UNet(2, 1, base=2, depth=1)(torch.ones(2, 8, 8)), r"\(2, 8, 8\)"),
        (lambda: UNet(2, 1, base=2, depth=1, dims=3)(torch.ones(1, 2, 8, 8)), r"\(batch, 2, depth, height, width\)"),
    ],
)
@pytest.mark.usefixtures("as_user")
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_it_can_be_wrapped_like_any_module(make_net):
    unet = UNet(3, 2, base=2, depth=2).eval()
    wrapped = make_net(backbone=rx.nets.as_backbone(unet, 3, 2))
    assert wrapped(torch.rand(1, 3, 9, 9)).maps_ms.shape == (1, 2, 9, 9)
