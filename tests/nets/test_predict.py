import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import relaxnet as rx

PROTOCOL = rx.protocols.LIVER_T1RHO_T2


def volume(slices=5, sides=(8, 9)):
    return torch.rand(slices, 7, *sides, generator=torch.Generator().manual_seed(1)) + 0.1


def test_maps_have_names(make_net):
    assert set(make_net().predict(volume())) == {"t1rho", "t2"}
    net, images = make_net(amplitude=True, uncertainty="heteroscedastic"), volume()
    maps = net.predict(images)
    output = net(images[:, net.input_channels])
    assert set(maps) == {"t1rho", "t2", "m0"}
    torch.testing.assert_close(maps["t1rho"], output.maps_ms[:, 0])
    torch.testing.assert_close(maps["t2"], output.maps_ms[:, 1])
    torch.testing.assert_close(maps["m0"], output.m0[:, 0])


@given(st.integers(0, 6), st.integers(1, 9))
@settings(max_examples=10)
def test_any_number_of_slices_at_a_time(make_net, slices, batch_size):
    net, images = make_net(), volume(slices)
    maps = net.predict(images, batch_size=batch_size)
    assert maps["t2"].shape == (slices, 8, 9)
    torch.testing.assert_close(maps["t2"], net.predict(images)["t2"])


def test_it_picks_its_own_images(make_net):
    net, images = make_net("long"), volume()
    assert torch.equal(net.predict(images)["t2"], net.predict(images[:, net.input_channels])["t2"])
    images[:, [1, 2, 4, 5]] = torch.nan
    assert torch.isfinite(net.predict(images)["t2"]).all()


def test_volumes(make_net):
    maps = make_net(dims=3, amplitude=True).predict(volume(2, (3, 8, 9)))
    assert {name: values.shape for name, values in maps.items()} == dict.fromkeys(["t1rho", "t2", "m0"], (2, 3, 8, 9))


@pytest.mark.parametrize("inputs", ["short", (0, 6), ["short", "long", "middle", (1, 2), "long"]])
def test_any_subset(make_net, inputs):
    net, images = make_net("any"), volume()
    maps = net.predict(images, inputs=inputs, batch_size=2)
    torch.testing.assert_close(maps["t1rho"], net(images, inputs).maps_ms[:, 0])
    mask = rx.nets.input_mask(PROTOCOL, inputs, len(images))
    images[~mask] = torch.nan
    assert torch.equal(net.predict(images, inputs=mask, batch_size=2)["t1rho"], maps["t1rho"])


def test_a_spoiled_voxel_costs_that_voxel_alone(make_net):
    net, images = make_net(amplitude=True), volume()
    images[1, 4, 2, 3] = torch.nan
    images[2, 1, 4, 5] = -torch.inf
    images[3, 6, 0, 0] = torch.nan  # which the network does not see
    images[4, :, 6, 7] = 0
    expected = torch.zeros(5, 8, 9, dtype=torch.bool)
    expected[1, 2, 3] = expected[2, 4, 5] = True
    for values in net.predict(images).values():
        assert torch.equal(torch.isnan(values), expected)


@pytest.mark.parametrize("dtype", [torch.int16, torch.uint8, torch.int64, torch.float64, torch.float16])
def test_numbers_of_any_kind(make_net, dtype):
    images = (volume() * 100).to(dtype)
    maps = make_net().predict(images)
    assert maps["t2"].dtype == torch.float32
    assert torch.equal(maps["t2"], make_net().predict(images.float())["t2"])


def test_the_network_goes_back_to_what_it_did(make_net):
    net = make_net().train()
    net.backbone.down[0].eval()
    modes = [module.training for module in net.modules()]
    statistics = {name: values.clone() for name, values in net.named_buffers()}
    maps = net.predict(volume())
    assert not maps["t2"].requires_grad
    assert [module.training for module in net.modules()] == modes
    assert all(torch.equal(values, statistics[name]) for name, values in net.named_buffers())
    assert torch.equal(maps["t2"], net.eval().predict(volume())["t2"])


def test_it_goes_back_after_a_failure_too(make_net):
    net = make_net("any").train()
    with pytest.raises(ValueError, match="inputs='tall'"):
        net.predict(volume(), inputs="tall")
    assert net.training
    assert torch.is_grad_enabled()


def with_t2(*times_ms):
    return rx.Protocol((PROTOCOL.contrasts[0], rx.Contrast("t2", times_ms)), shared_first=True)


def test_the_protocol_may_be_named(make_net):
    images = volume()
    in_seconds = rx.Contrast.from_seconds("t2", (0, 0.0182, 0.0346, 0.051))
    for same in (PROTOCOL, rx.Protocol((PROTOCOL.contrasts[0], in_seconds), shared_first=True)):
        assert torch.equal(make_net().predict(images, protocol=same)["t2"], make_net().predict(images)["t2"])


@pytest.mark.parametrize(
    "protocol",
    [
        with_t2(0, 18.2, 34.6, 51.1),
        with_t2(0, 18.2, 34.6),
        rx.Protocol(PROTOCOL.contrasts),
        rx.Protocol(PROTOCOL.contrasts[::-1], shared_first=True),
        rx.Protocol(PROTOCOL.contrasts[:1]),
    ],
    ids=["a time", "a time less", "no shared image", "another order", "a contrast less"],
)
def test_another_protocol_is_refused(make_net, protocol):
    with pytest.raises(ValueError, match=r"protocol is t.*the network was made for t1rho") as caught:
        make_net().predict(volume(), protocol=protocol)
    for contrast in (*protocol.contrasts, *PROTOCOL.contrasts):
        assert str(contrast.times_ms) in str(caught.value)


@pytest.mark.parametrize(
    ("options", "images", "message"),
    [
        ({}, torch.ones(7, 8, 8), "all 7 images of the protocol, or the 3"),
        ({}, torch.ones(1, 5, 8, 8), r"\(1, 5, 8, 8\): \(slice, image, height, width\)"),
        ({"dims": 3}, torch.ones(1, 7, 8, 8), r"\(slice, image, depth, height, width\)"),
        ({}, torch.ones(1, 7, 8, 8, device="meta"), "images are on meta, the network is on cpu"),
    ],
    ids=["no slices", "images", "no volume", "device"],
)
@pytest.mark.usefixtures("as_user")
def test_bad_images(make_net, options, images, message):
    with pytest.raises(ValueError, match=message):
        make_net(**options).predict(images)


def test_bad_batch_size(make_net):
    with pytest.raises(ValueError, match="batch_size=0"):
        make_net().predict(volume(), batch_size=0)


@pytest.mark.parametrize("dtype", ["f4", "f8", ">f4", "i2", "u2"])
def test_arrays_give_arrays(make_net, dtype):
    net, images = make_net(), (1000 * volume()).round()
    expected = net.predict(images)["t2"]
    array = images.numpy().astype(dtype)
    for same in (array, array[::-1][::-1], np.asfortranarray(array)):
        found = net.predict(same)["t2"]
        assert isinstance(found, np.ndarray)
        # A convolution may add in another order where memory is aligned otherwise.
        np.testing.assert_allclose(found, expected.numpy(), rtol=1e-5)


def test_masked_entries_of_an_array_are_missing(make_net):
    images = np.ma.array(volume().numpy(), mask=False)
    images[0, 0, 2, 3] = np.ma.masked
    missing = np.isnan(make_net().predict(images)["t2"])
    assert missing[0, 2, 3]
    assert missing.sum() == 1


@pytest.mark.usefixtures("as_user")
@pytest.mark.parametrize("images", [np.ones((1, 7, 8, 8)) * 1j, np.full((1, 7, 8, 8), "a"), [1, 2], None])
def test_what_is_no_image_is_refused(make_net, images):
    with pytest.raises(TypeError, match=r"images is .*: pass a tensor or an array of real numbers"):
        make_net().predict(images)
