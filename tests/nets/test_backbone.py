import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from relaxnet.nets import UNet, as_backbone


class Halving(nn.Module):
    """A network that refuses sizes which it cannot halve, as many do."""

    def __init__(self, in_channels, out_channels, dims=2):
        super().__init__()
        convolution = nn.Conv2d if dims == 2 else nn.Conv3d
        self.down = convolution(in_channels, 8, kernel_size=4, stride=4)
        self.up = nn.Sequential(nn.Upsample(scale_factor=4), convolution(8, out_channels, kernel_size=1))

    def forward(self, images):
        assert all(side % 4 == 0 for side in images.shape[2:])
        return self.up(torch.tanh(self.down(images)))


class Listing(nn.Module):
    def forward(self, images):
        return [images]


@given(st.lists(st.integers(1, 19), min_size=2, max_size=3))
@settings(max_examples=15)
def test_any_size_comes_back(sides):
    backbone = as_backbone(Halving(3, 2, len(sides)), 3, 2, multiple=4)
    assert backbone(torch.rand(1, 3, *sides)).shape == (1, 2, *sides)


def test_sizes_that_fit_are_left_alone():
    module = Halving(3, 2)
    images = torch.rand(1, 3, 8, 12)
    assert torch.equal(as_backbone(module, 3, 2, multiple=4)(images), module(images))


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("inputs", ["short", "any"])
def test_it_carries_all_heads(make_net, dims, inputs):
    n_inputs = 3 if inputs == "short" else 5
    options = {"dims": dims, "uncertainty": "heteroscedastic", "amplitude": True}
    backbone = as_backbone(Halving(n_inputs, 5, dims), n_inputs, 5, multiple=4)
    net = make_net(inputs, backbone=backbone, **options)
    images = torch.rand(2, len(net.input_channels), *(5, 6, 7)[:dims])
    output, reference = net(images), make_net(inputs, **options)(images)
    assert [field.shape for field in output] == [field.shape for field in reference]
    assert all(torch.isfinite(field).all() for field in output)


@pytest.mark.parametrize("dims", [2, 3])
def test_a_network_of_monai(make_net, dims):
    monai = pytest.importorskip("monai.networks.nets")
    module = monai.BasicUNet(spatial_dims=dims, in_channels=3, out_channels=2, features=(8, 8, 8, 16, 16, 8))
    net = make_net(dims=dims, backbone=as_backbone(module, 3, 2, multiple=16))
    images = torch.rand(1, 3, *(17, 20, 33)[:dims])
    maps = net(images).maps_ms
    assert maps.shape == (1, 2, *images.shape[2:])
    torch.testing.assert_close(net(images * 1024).maps_ms, maps, rtol=0, atol=0)
    assert net.config["backbone"] == "BasicUNet"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda _: as_backbone(nn.Identity(), 0, 1), "in_channels=0"),
        (lambda _: as_backbone(nn.Identity(), 1, 0), "out_channels=0"),
        (lambda _: as_backbone(nn.Identity(), 1, 1, multiple=0), "multiple=0"),
        (
            lambda _: as_backbone(nn.Conv2d(3, 4, 1), 3, 2)(torch.ones(1, 3, 8, 8)),
            r"Conv2d was given \(1, 3, 8, 8\) and returned \(1, 4, 8, 8\): \(1, 2, 8, 8\) is needed.*out_channels=2",
        ),
        (
            lambda _: as_backbone(nn.Conv2d(3, 2, 3), 3, 2, multiple=4)(torch.ones(1, 3, 7, 8)),
            r"was given \(1, 3, 8, 8\) and returned \(1, 2, 6, 6\).*multiple=4",
        ),
        (lambda _: as_backbone(Listing(), 3, 3)(torch.ones(1, 3, 8, 8)), "Listing .* returned a list"),
        (lambda make: make(backbone=UNet(3, 2)), "backbone is a UNet: wrap it by relaxnet.nets.as_backbone"),
        (
            lambda make: make("any", amplitude=True, backbone=as_backbone(nn.Identity(), 7, 2)),
            r"Identity takes 7 channels and returns 2: 5 and 3 are needed \(2 for relaxation times and",
        ),
    ],
)
@pytest.mark.usefixtures("as_user")
def test_bad_arguments(make_net, call, message):
    with pytest.raises(ValueError, match=message):
        call(make_net)
