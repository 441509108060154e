"""Networks of any subset: random input images in training, and the mean over the input sets in prediction."""

import dataclasses

import numpy as np
import pytest
import torch

import relaxnet as rx
from relaxnet.training._average import average
from relaxnet.training._input_sets import at_random, in_turns

LIVER = rx.protocols.LIVER_T1RHO_T2
TEN = rx.Protocol((rx.Contrast("t2", times_ms=tuple(range(10, 110, 10))),))
SHORT_AND_LONG = rx.Protocol(
    (rx.Contrast("t2", times_ms=(0, 20)), rx.Contrast("t1rho", times_ms=(0, 10, 20, 30, 40))), shared_first=True
)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


class TestRandomInputs:
    """What is drawn in training."""

    @pytest.mark.parametrize(("protocol", "held_out"), [(LIVER, 2), (LIVER, 0), (TEN, 2), (SHORT_AND_LONG, 0)])
    def test_two_or_more_of_each_contrast_and_all_such_subsets(self, protocol, held_out):
        drawn = at_random(protocol, 3000, generator(), held_out=held_out)
        for contrast in protocol.contrasts:
            own = set(protocol.images_of(contrast.name))
            counts = {len(own & set(inputs)) for inputs in drawn}
            assert counts == set(range(2, len(own) - held_out + 1))
            assert set().union(*(own & set(inputs) for inputs in drawn)) == own
        if (protocol, held_out) == (LIVER, 2):  # one later image of each with the first, or two without
            assert len(set(drawn)) == 18

    def test_too_few_images(self):
        with pytest.raises(ValueError, match=r"inputs='random': t2 has 2 images, and 4 are needed: 2 .* 2 held out"):
            at_random(SHORT_AND_LONG, 1, generator(), held_out=2)

    def test_in_turns(self):
        assert sorted(in_turns(LIVER, 6, generator())) == ["long", "long", "middle", "middle", "short", "short"]

    def test_a_network_learns_from_them(self, monkeypatch):
        seen = []
        draw = "relaxnet.training._module.at_random"
        monkeypatch.setattr(draw, lambda *args, **options: seen.append(at_random(*args, **options)) or seen[-1])
        cohort = rx.phantom.liver_cohort(n_subjects=3, slices=1, shape=(32, 32), seed=0)
        preset = dataclasses.replace(rx.training.PRESETS["smoke"], initial_estimates=(0.0, "low-rank"))
        trained = rx.training.train(cohort, preset=preset, inputs="random", progress=False)
        assert len({inputs for drawn in seen for inputs in drawn}) > 2
        assert trained.net.any_subset
        assert set(trained.calibration.factors["t2"]) == {"any", "short", "middle", "long"}
        for inputs in ((0, 1, 2, 5, 6), None):
            assert np.isfinite(trained.predict(cohort[0].images.numpy(), inputs=inputs)["t2_std"]).all()
        fixed = rx.nets.RelaxationNet(LIVER, "short", base=4, depth=2)
        with pytest.raises(ValueError, match=r"inputs='random': net takes always \(0, 1, 4\)"):
            rx.training.train(cohort, preset="smoke", inputs="random", net=fixed)


class TestEach:
    """The mean over all input sets."""

    def test_rates_are_averaged(self):
        trained = rx.training.Trained(rx.nets.RelaxationNet(LIVER, "any", base=4, depth=1, amplitude=True).eval())
        images = torch.rand(2, 7, 16, 18)
        parts = [trained.predict(images, inputs=name) for name in LIVER.input_sets]
        found = trained.predict(images, inputs="each")
        torch.testing.assert_close(1 / found["t2"], torch.stack([1 / part["t2"] for part in parts]).mean(0))
        torch.testing.assert_close(found["m0"], torch.stack([part["m0"] for part in parts]).mean(0))
        assert isinstance(trained.predict(images.numpy(), inputs="each")["t2"], np.ndarray)
        images[:, 3] = torch.nan  # an image of "long"
        rest = torch.stack([1 / part["t2"] for part in parts[:2]]).mean(0)
        torch.testing.assert_close(1 / trained.predict(images, inputs="each")["t2"], rest, rtol=0.2, atol=0)

    def test_a_network_of_one_input_set(self):
        trained = rx.training.Trained(rx.nets.RelaxationNet(LIVER, "short", base=4, depth=1))
        with pytest.raises(ValueError, match=r"inputs='each': this network has one input set, \(0, 1, 4\)"):
            trained.predict(torch.rand(1, 7, 16, 16), inputs="each")

    @pytest.mark.parametrize("common", [0.0, 0.5, 1.0])
    def test_errors_in_common_are_not_averaged_away(self, common):
        source = generator()
        own, shared = torch.randn(3, 4, 50, 50, generator=source), torch.randn(4, 50, 50, generator=source)
        errors = 0.05 * ((1 - common) ** 0.5 * own + common**0.5 * shared)
        t = 40 * torch.exp(errors)
        t[:, :, :5] = 100 * torch.rand(3, 4, 5, 50, generator=source)  # air, of which nobody is sure
        std = 0.05 * t
        std[:, :, :5] = 50
        found = average([{"t2": own, "t2_std": own_std} for own, own_std in zip(t, std, strict=True)], TEN)
        true = 0.05 * 40 * ((1 + 2 * common) / 3) ** 0.5
        np.testing.assert_allclose(found["t2_std"][:, 5:].mean(), true, rtol=0.05)
        np.testing.assert_allclose(found["t2"][:, 5:].std(), true, rtol=0.05)

    def test_sure_maps_have_more_weight(self):
        t = 40 + torch.tensor([1.0, 4.0]).reshape(2, 1, 1, 1) * torch.randn(2, 1, 90, 90, generator=generator())
        maps = [{"t2": own, "t2_std": torch.full_like(own, std)} for own, std in zip(t, (1.0, 4.0), strict=True)]
        found = average(maps, TEN)
        assert float(found["t2"].std()) == pytest.approx(float(found["t2_std"].mean()), rel=0.05)
        assert float(found["t2"].std()) == pytest.approx((1 + 1 / 16) ** -0.5, rel=0.05)

    def test_unsure_maps_are_taken_for_alike(self):
        maps = {"t2": torch.full((1, 4, 4), 40.0), "t2_std": torch.full((1, 4, 4), 30.0)}
        torch.testing.assert_close(average([maps, maps], TEN)["t2_std"], maps["t2_std"])
        lost = {"t2": maps["t2"].clone().fill_(torch.nan), "t2_std": maps["t2_std"]}
        torch.testing.assert_close(average([maps, lost], TEN), maps)
        assert torch.isnan(average([lost, lost], TEN)["t2"]).all()
