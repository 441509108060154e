"""What follows from a signal model: every use of every model, done for real, and the documentation's table of it."""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import relaxnet as rx
from relaxnet import signals
from relaxnet.signals._recovery import Recovery
from relaxnet.training._augment import shift_rates, undo_rate_shift

TABLE = Path(__file__).parents[1] / "docs" / "generated" / "what_follows.md"
SMOKE = dataclasses.replace(rx.training.PRESETS["smoke"], epochs=1, initial_estimates=(0.0, 1.0))


class Own(signals.SignalModel):
    """A model of a user's own, with nothing but the one method that is needed."""

    def basis(self, t, time):
        return torch.exp(-((time / t) ** 0.7))


DECAY_MS = (0, 10, 30, 50, 80)
RECOVERY_MS = (0, 100, 300, 700, 1500, 4000)
MODELS = {
    "`MonoExponential`": (signals.MonoExponential(), "t2", DECAY_MS),
    "`…WithOffset`": (signals.MonoExponentialWithOffset(), "t2", (*DECAY_MS, 150)),
    "`Stretched…`": (signals.StretchedExponential(0.8), "t2", DECAY_MS),
    "`InversionRecovery`": (signals.InversionRecovery(), "t1", RECOVERY_MS),
    "`….ideal()`": (signals.InversionRecovery.ideal(), "t1", RECOVERY_MS),
    "ideal, signed": (signals.InversionRecovery.ideal(magnitude=False), "t1", RECOVERY_MS),
    "`SaturationRecovery`": (signals.SaturationRecovery(), "t1", RECOVERY_MS[1:]),
    "`…(efficiency=0.95)`": (signals.SaturationRecovery(efficiency=0.95), "t1", RECOVERY_MS[1:]),
    "`VariableFlipAngle`": (signals.VariableFlipAngle(tr_ms=5.0), "t1", (2, 5, 10, 15, 20)),
    "`Diffusion`": (signals.Diffusion(), "adc", (0, 200, 400, 600, 800)),
    "one of your own": (Own(), "t2", DECAY_MS),
}


class Given:
    """A model at its times, noise-free signals of some T, and more."""

    def __init__(self, model, name, times):
        self.model = model
        self.contrast = rx.Contrast(name, times, model=model)
        self.protocol = rx.Protocol((self.contrast,))
        typical = model.parameter.typical
        self.t = typical * torch.tensor([0.7, 0.9, 1.0, 1.2, 1.5], dtype=torch.float64)
        self.m0 = torch.full_like(self.t, 100.0)
        self.offset = torch.full_like(self.t, 10.0) if model.has_offset else None
        self.images = model(self.m0, self.t, self.contrast, offset=self.offset)

    def shared(self):
        """The contrast beside another one, with their first image shared."""
        first = self.contrast.times_ms[0]
        other = rx.Contrast("t1rho", (first, first + 20, first + 60))
        protocol = rx.Protocol((self.contrast, other), shared_first=True)
        others = other.model(self.m0, torch.full_like(self.t, 45.0), other)
        return protocol, torch.cat((self.images, others[:, 1:]), dim=1)


def right(found, truth, rtol=1e-4):
    torch.testing.assert_close(torch.as_tensor(found).double(), truth, rtol=rtol, atol=0)


def simulate(given):
    assert given.images.shape == (5, len(given.contrast.times_ms))


def least_squares(given):
    right(rx.fit(given.images, given.contrast).maps[given.contrast.name], given.t)


def standard_errors(given):
    std = rx.fit(given.images, given.contrast, sigma=1.0).std[given.contrast.name]
    bound = rx.information.crlb(given.model, given.m0, given.t, given.contrast, 1.0)["t"]
    right(std, bound, rtol=1e-3)


def bound_of(given):
    bound = rx.information.crlb(given.model, given.m0, given.t, given.contrast, 1.0)["t"]
    assert (torch.isfinite(bound) & (bound > 0)).all()


def optimal_times(given):
    low, high = (float(given.t[k]) for k in (0, -1))
    n, most = 3 + given.model.has_offset, given.contrast.times_ms[-1]
    times = rx.information.optimal_times(given.model, (low, high), n=n, max_ms=most, min_ms=given.contrast.times_ms[1])
    even = np.linspace(given.contrast.times_ms[1], most, n)
    best, usual = (
        rx.information.crlb(given.model, 1.0, given.t, tuple(some), 1.0)["t"] / given.t for some in (times, even)
    )
    assert best.square().mean() <= usual.square().mean() * (1 + 1e-6)


def rician(given):
    found = rx.fit(given.images, given.contrast, method="rician", sigma=1e-3).maps[given.contrast.name]
    right(found, given.t, rtol=1e-2)


def gradient(given):
    images = given.images.clone().requires_grad_()
    maps = rx.fit(images, given.contrast).maps[given.contrast.name]
    (by_images,) = torch.autograd.grad(maps.sum(), images)
    moved = 1e-5 * torch.randn(images.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    change = rx.fit(given.images + moved, given.contrast).maps[given.contrast.name] - maps.detach()
    torch.testing.assert_close((by_images * moved).sum(), change.sum(), rtol=1e-2, atol=1e-9)


def residual_vanishes(residual, given):
    assert residual(given.t[:, None], given.images).abs().max() < 1e-6
    wrong = (1.1 * given.t[:, None]).requires_grad_()
    (by_t,) = torch.autograd.grad(residual(wrong, given.images).sum(), wrong)
    assert torch.isfinite(by_t).all()
    assert (by_t != 0).any()


def reconstruction(given):
    residual_vanishes(rx.losses.Reconstruction(given.protocol), given)


def pairwise(given):
    for pairs in ("all", "forward", "orthogonal"):
        residual_vanishes(rx.losses.PairwiseConstraint(given.protocol, pairs=pairs), given)


def two_point(given):
    # In this range of T, both images are after the null of an inversion recovery, which alone determines it.
    pair, bounds = (-2, -1), (float(given.t[0]) / 2, float(given.t[-1]) * 1.5)
    result = rx.fit(given.images, given.contrast, method="two-point", pair=pair, bounds=bounds)
    right(result.maps[given.contrast.name], given.t)


def log_linear(given):
    right(rx.fit(given.images, given.contrast, method="log-linear").maps[given.contrast.name], given.t)


def joint(given):
    protocol, images = given.shared()
    maps = rx.fit_joint(images, protocol).maps
    right(maps[given.contrast.name], given.t)
    right(maps["t1rho"], torch.full_like(given.t, 45.0))


def joint_bound(given):
    protocol, _ = given.shared()
    t = {given.contrast.name: given.t, "t1rho": 45.0}
    together = rx.information.crlb_joint(protocol, given.m0, t, 1.0)[given.contrast.name]
    alone = rx.information.crlb(given.model, given.m0, given.t, given.contrast, 1.0)["t"]
    assert (together <= alone * (1 + 1e-9)).all()


def noise_level(given):
    g = torch.Generator().manual_seed(0)
    images = given.images.repeat(2000, 1)
    noisy = images + 2.0 * torch.randn(images.shape, dtype=torch.float64, generator=g)
    assert rx.fitting.estimate_sigma(noisy, given.contrast) == pytest.approx(2.0, rel=0.1)


def cohort(given, n=3):
    return rx.phantom.liver_cohort(n, 1, (32, 32), snr=50, protocol=given.protocol)


def network(given):
    trained = rx.training.train(cohort(given), preset=SMOKE, loss="orthogonal", inputs=(0, 1, 2, 3), progress=False)
    subject = cohort(given)[0]
    maps = trained.predict(subject.images)
    name = given.contrast.name
    truth, found, std = (x[subject.roi].double() for x in (subject.truth[name], maps[name], maps[f"{name}_std"]))
    assert ((found / truth).log().abs().median()) < 0.3  # untrained, it outputs its initial estimates
    assert 0.5 < (((found - truth).abs() < 1.645 * std).double().mean()) <= 1  # the interval is in the unit of the map
    low, high = given.model.parameter.network_bounds
    assert ((maps[name] >= low) & (maps[name] <= high)).all()


def rate_augmentation(given):
    t = given.t[:, None, None]
    shift = torch.full((5, 1), 0.1 / float(given.t[0]) if given.contrast.name != "adc" else 1e-4, dtype=torch.float64)
    images = given.model(given.m0[:, None], t[:, 0], given.contrast)
    changed = shift_rates(images, shift, given.protocol, range(len(given.contrast.times_ms)))
    faster = rx.fit(changed, given.contrast, bounds=(1e-6, 1e5)).maps[given.contrast.name]
    right(undo_rate_shift(faster[:, None], shift, given.protocol)[:, 0], t[:, 0])


def phantom_and_files(given, folder):
    written = cohort(given, n=1)
    models = {given.contrast.name: given.model} if isinstance(given.model, Own) else None
    read = rx.io.read_cohort(rx.io.write_cohort(written, folder), models=models)
    assert read.protocol == given.protocol
    subject, name = read[0], given.contrast.name
    torch.testing.assert_close(subject.truth[name], written[0].truth[name], equal_nan=True)
    clean = subject.clean.movedim(1, -1)[subject.roi]
    right(rx.fit(clean, given.contrast).maps[name], subject.truth[name][subject.roi].double(), rtol=0.1)


USES: dict[str, Callable] = {
    "simulation": simulate,
    "least-squares fit": least_squares,
    "standard errors": standard_errors,
    "Rician fit": rician,
    "two-point fit": two_point,
    "log-linear fit": log_linear,
    "joint fit": joint,
    "noise level": noise_level,
    "gradient through the fit": gradient,
    "Cramér-Rao bound": bound_of,
    "joint bound": joint_bound,
    "optimal times": optimal_times,
    "pairwise constraint": pairwise,
    "reconstruction loss": reconstruction,
    "network, training, intervals": network,
    "rate augmentation": rate_augmentation,
    "phantom and files": phantom_and_files,
}

NO_CONSTANT = "the constant is no part of it"
NO_LINE = "no straight line"
NOT_SHARED = "T changes every image"
DECAYS_ONLY = "an `ExponentialDecay` has it"
NO_EFFICIENCY = "give the efficiency"
OF_A_PULSE = dict.fromkeys(
    ("Rician fit", "two-point fit", "joint fit", "joint bound", "pairwise constraint", "reconstruction loss",
     "network, training, intervals"), NO_EFFICIENCY,
) | {"rate augmentation": "no rate"}  # fmt: skip
NO_MEANING = {
    "`…WithOffset`": {
        "Rician fit": "the floor is in the likelihood",
        "two-point fit": "three parameters",
        "log-linear fit": NO_LINE,
        "joint fit": NO_CONSTANT,
        "joint bound": NO_CONSTANT,
        "pairwise constraint": "the constant does not cancel",
        "reconstruction loss": "no map predicts the constant",
        "network, training, intervals": "no loss",
        "rate augmentation": "the constant has no rate",
    },
    "`InversionRecovery`": OF_A_PULSE | {"log-linear fit": NO_LINE},
    "`….ideal()`": {"log-linear fit": NO_LINE, "rate augmentation": "no rate"},
    "ideal, signed": {
        "Rician fit": "no magnitudes",
        "log-linear fit": NO_LINE,
        "joint fit": "first image differs",
        "joint bound": "first image differs",
        "rate augmentation": "no rate",
    },
    "`SaturationRecovery`": OF_A_PULSE | {"log-linear fit": NO_LINE},
    "`…(efficiency=0.95)`": {
        "log-linear fit": NO_LINE, "joint fit": NOT_SHARED, "joint bound": NOT_SHARED, "rate augmentation": "no rate",
    },
    "`VariableFlipAngle`": {
        "log-linear fit": NO_LINE, "joint fit": NOT_SHARED, "joint bound": NOT_SHARED, "rate augmentation": "no rate",
    },
    "one of your own": {"log-linear fit": DECAYS_ONLY, "rate augmentation": DECAYS_ONLY},
}  # fmt: skip
"""Why a use has no meaning for a model: there a ValueError that names it is what must come."""


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("column", MODELS)
def test_every_use_follows_or_is_refused_by_name(column, use, tmp_path):
    given = Given(*MODELS[column])
    more = (tmp_path / "cohort",) if use == "phantom and files" else ()
    if use in NO_MEANING.get(column, {}):
        with pytest.raises(ValueError, match=rf"{type(given.model).__name__}|shared_first"):
            USES[use](given, *more)
    else:
        USES[use](given, *more)


def _yes(column, use):
    model = MODELS[column][0]
    simulates_a_pulse = use == "phantom and files" and isinstance(model, Recovery) and model.has_offset
    return "of a perfect pulse" if simulates_a_pulse else "yes"


def table():
    """Write down what the test above tries."""
    lines = [f"| | {' | '.join(MODELS)} |", f"| :--- |{' :---: |' * len(MODELS)}"]
    for use in USES:
        cells = (NO_MEANING.get(column, {}).get(use) or _yes(column, use) for column in MODELS)
        lines.append(f"| {use} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def test_the_table_of_the_documentation_is_this_one():
    assert TABLE.read_text(encoding="utf-8") == table(), "python -m tests.test_what_follows writes it anew"


def test_every_model_has_a_column():
    public = {name for name in signals.__all__ if isinstance(getattr(signals, name), type)}
    models = {name for name in public if issubclass(getattr(signals, name), signals.SignalModel)}
    assert models - {"SignalModel", "ExponentialDecay"} == {type(m).__name__ for m, *_ in MODELS.values()} - {"Own"}
    assert math.isclose(len(USES), 17)


if __name__ == "__main__":
    TABLE.parent.mkdir(exist_ok=True)
    TABLE.write_text(table(), encoding="utf-8")
