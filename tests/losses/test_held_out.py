"""Residuals that use only the images that a network does not receive."""

import numpy as np
import pytest
import torch

import relaxnet as rx

PROTOCOL = rx.protocols.LIVER_T1RHO_T2
SETS = PROTOCOL.input_sets
RESIDUALS = {
    "pairs": lambda **options: rx.losses.PairwiseConstraint(PROTOCOL, pairs="orthogonal", **options),
    "reconstruction": lambda **options: rx.losses.Reconstruction(PROTOCOL, **options),
}
every_residual = pytest.mark.parametrize("make", RESIDUALS.values(), ids=RESIDUALS.keys())


@pytest.fixture
def batch(generator):
    maps = 20 + 60 * torch.rand(3, 2, 4, 5, dtype=torch.float64, generator=generator)
    return maps, torch.rand(3, 7, 4, 5, dtype=torch.float64, generator=generator)


@every_residual
@pytest.mark.parametrize("name", SETS)
def test_images_that_the_network_sees_have_no_influence(make, name, batch):
    maps, images = batch
    residual = make(held_out_from=name)
    expected = residual(maps, images)
    torch.testing.assert_close(make(held_out_from=SETS[name])(maps, images), expected, rtol=0, atol=0)
    images[:, SETS[name]] = torch.nan
    torch.testing.assert_close(residual(maps, images), expected, rtol=0, atol=0)
    for channel in set(range(7)) - set(SETS[name]):
        changed = images.clone()
        changed[:, channel] += 1
        assert not torch.equal(residual(maps, changed), expected)


@every_residual
def test_each_sample_of_a_batch_may_have_its_own(make, batch):
    maps, images = batch
    maps.requires_grad_()
    names = ("long", "short", "long")
    together = make()(maps, images, held_out_from=names)
    for k, name in enumerate(names):
        alone = make(held_out_from=name)(maps[k : k + 1], images[k : k + 1])
        torch.testing.assert_close(together[k : k + 1], alone, rtol=0, atol=0)
    torch.testing.assert_close(make(held_out_from=names)(maps, images), together, rtol=0, atol=0)
    together.sum().backward()
    assert (maps.grad != 0).all()


@every_residual
@pytest.mark.usefixtures("as_user")
def test_one_set_for_each_sample_is_needed(make, batch):
    with pytest.raises(ValueError, match="held_out_from has 2 input sets: one, or one for each of 3"):
        make()(*batch, held_out_from=("long", "short"))


def test_one_contrast_without_a_shared_image_and_three_of_them():
    alone = rx.Protocol((rx.Contrast("t2", (10, 20, 40, 80)),))
    three = rx.Protocol(
        (rx.Contrast("t1rho", (0, 10, 30)), rx.Contrast("t2", (0, 20, 40, 60)), rx.Contrast("t2star", (0, 5, 9)))
    )
    for protocol in (alone, three):
        n = len(protocol.names)
        maps, images = torch.full((1, n, 6), 40.0), torch.rand(1, protocol.n_images, 6)
        for unseen in (None, (0,)):
            assert rx.losses.PairwiseConstraint(protocol, held_out_from=unseen)(maps, images).shape == (1, n, 6)
            assert rx.losses.Reconstruction(protocol, held_out_from=unseen)(maps, images).shape == (1, n, 6)


@every_residual
@pytest.mark.usefixtures("as_user")
def test_channel_numbers_may_come_from_numpy(make, batch):
    expected = make(held_out_from="short")(*batch)
    torch.testing.assert_close(make(held_out_from=np.array(SETS["short"]))(*batch), expected, rtol=0, atol=0)
