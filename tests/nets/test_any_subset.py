import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import relaxnet as rx
from relaxnet.nets import input_mask

PROTOCOL = rx.protocols.LIVER_T1RHO_T2
ALL = {"uncertainty": "heteroscedastic", "amplitude": True}


def images_for(batch, sides=(8, 8)):
    return torch.rand(batch, 7, *sides, generator=torch.Generator().manual_seed(1)) + 0.1


def rows(*channels):
    mask = torch.zeros(len(channels), 7, dtype=torch.bool)
    for row, inputs in zip(mask, channels, strict=True):
        row[list(inputs)] = True
    return mask


masks = st.lists(st.sets(st.integers(0, 6), min_size=1), min_size=1, max_size=3).map(lambda sets: rows(*sets))


@pytest.mark.parametrize(
    ("inputs", "mask"),
    [
        (None, rows(range(7), range(7))),
        ("short", rows((0, 1, 4), (0, 1, 4))),
        ((5, 0), rows((0, 5), (0, 5))),
        ([3], rows((3,), (3,))),
        (torch.tensor([3, 0]).tolist(), rows((0, 3), (0, 3))),
        (["short", "long"], rows((0, 1, 4), (0, 3, 6))),
        (("middle", (6, 1)), rows((0, 2, 5), (1, 6))),
        ([(0, 1), [2]], rows((0, 1), (2,))),
        (rows((0,), (1, 2)), rows((0,), (1, 2))),
    ],
    ids=str,
)
def test_ways_to_name_the_inputs(inputs, mask):
    assert torch.equal(input_mask(PROTOCOL, inputs, 2), mask)


@given(masks)
def test_a_mask_is_itself_and_the_same_as_its_channel_numbers(mask):
    assert input_mask(PROTOCOL, mask, len(mask)) is mask
    assert torch.equal(input_mask(PROTOCOL, [row.nonzero().flatten().tolist() for row in mask], len(mask)), mask)


@given(masks, st.sampled_from([torch.nan, torch.inf, 0.0, 1e30]), st.sampled_from([2, 3]))
@settings(max_examples=15)
def test_what_is_no_input_has_no_influence(make_net, mask, value, dims):
    net = make_net("any", dims=dims, **ALL)
    images = images_for(len(mask), (8,) * dims)
    hidden = ~mask.reshape(*mask.shape, *[1] * dims).expand_as(images)
    output, other = net(images, inputs=mask), net(torch.where(hidden, value, images), inputs=mask)
    assert all(torch.equal(a, b) for a, b in zip(output, other, strict=True))
    assert output.valid.all()
    assert torch.equal(net.scale(images, mask), net.scale(torch.where(hidden, value, images), mask))


def test_no_gradient_reaches_what_is_no_input(make_net):
    images = images_for(2).requires_grad_()
    make_net("any")(images, inputs="short").maps_ms.sum().backward()
    assert torch.count_nonzero(images.grad[:, [2, 3, 5, 6]]) == 0
    assert all(torch.count_nonzero(images.grad[:, channel]) > 0 for channel in (0, 1, 4))


def test_by_default_all_are_inputs_and_all_count(make_net):
    net, images = make_net("any", **ALL), images_for(2)
    assert net.input_channels == tuple(range(7))
    assert all(torch.equal(a, b) for a, b in zip(net(images), net(images, inputs=range(7)), strict=True))
    images[0, 6, 2, 3] = torch.nan
    assert not net(images).valid[0, 2, 3]
    assert net(images, inputs="short").valid.all()


def test_a_voxel_is_not_valid_where_all_inputs_are_zero(make_net):
    images = images_for(1)
    images[0, [0, 1, 4], 2, 3] = 0
    assert not make_net("any")(images, inputs="short").valid[0, 2, 3]
    assert make_net("any")(images, inputs="long").valid.all()


def test_the_scale_is_that_of_the_inputs(make_net):
    images = images_for(2)
    scale = make_net("any").scale(images, inputs=["short", (2,)]).flatten()
    torch.testing.assert_close(scale[0], images[0, [0, 1, 4]].square().mean().sqrt())
    torch.testing.assert_close(scale[1], images[1, 2].square().mean().sqrt())


def test_each_sample_has_its_own(make_net):
    net, images = make_net("any", **ALL), images_for(3)
    inputs = ["short", (0, 5), "long"]
    together = net(images, inputs=inputs)
    for k, row in enumerate(inputs):
        alone = net(images[k : k + 1], inputs=row)
        for a, b in zip(together, alone, strict=True):
            torch.testing.assert_close(a[k : k + 1], b)


def test_the_network_is_told_what_it_sees(make_net):
    net, images, given = make_net("any"), images_for(2), []
    net.backbone.register_forward_pre_hook(lambda _, arguments: given.extend(arguments))
    inputs = rows((0, 1, 4), (2, 3, 6))
    net(images, inputs=inputs)
    shown = images / net.scale(images, inputs)
    one, other = given[0]
    torch.testing.assert_close(one[[0, 1, 3]], shown[0, [0, 1, 4]])
    torch.testing.assert_close(other[[1, 3]], torch.stack([shown[1, [2, 3]].mean(0), shown[1, 6]]))
    assert (other[0] == 0).all()
    times = given[0][:, [2, 4]].amax((-1, -2)) * torch.tensor([50.0, 51.0])
    torch.testing.assert_close(times, torch.tensor([[10.0, 18.2], [40.0, 51.0]]))


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ("tall", "inputs='tall': .*no input set"),
        ((0, 7), r"inputs=\(0, 7\): .*from 0 to 6"),
        ((0, 0), r"inputs=\(0, 0\)"),
        ((), r"inputs=\(\)"),
        (["short", ()], r"inputs=\['short', \(\)\]"),
        (["short"], "is for 1 samples, images holds 2"),
        (rows((0,), ()), r"inputs has no image for samples \[1\]"),
        (rows((0,)), r"of shape \(1, 7\): a mask is torch.bool, \(2, 7\)"),
        (torch.ones(2, 7), r"inputs is torch.float32"),
    ],
    ids=str,
)
@pytest.mark.usefixtures("as_user")
def test_bad_arguments(make_net, inputs, message):
    for call in (make_net("any"), make_net("any").scale, make_net("any").predict):
        with pytest.raises(ValueError, match=message):
            call(images_for(2), inputs=inputs)


@pytest.mark.usefixtures("as_user")
def test_fixed_inputs_are_all_used(make_net):
    net, images = make_net("short"), images_for(1)[:, :3]
    for call in (net, net.scale, net.predict):
        with pytest.raises(ValueError, match=r"inputs='long': those of this network are always \(0, 1, 4\)"):
            call(images, inputs="long")
