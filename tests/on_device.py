"""Compute on another device what the processor computes, too: a GPU, or without one a device that is like it.

``python tests/on_device.py`` prints the difference of each case, or how it failed, as JSON.
"""

import json
import sys
import traceback
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from decays import all_sorts
from other_device import register

import relaxnet as rx
from relaxnet.fitting._nlls import LeastSquares
from relaxnet.training._data import Slices, collate, gather
from relaxnet.training._train import _network, _weighting

TIMES = (0.0, 10.0, 30.0, 50.0)
LATER = (50.0, 200.0, 600.0, 1500.0)
Case = Callable[[torch.device | None, Callable[[Any], Any]], dict[str, Any]]
"""From the device to compute on, None for that of the images, and what moves images: numbers by name."""


def voxels(times: tuple[float, ...] = TIMES) -> torch.Tensor:
    """Make images of all sorts of voxels, (time, row, column)."""
    return torch.from_numpy(all_sorts(600, times, 20).astype(np.float32)).T.reshape(len(times), 20, 30)


def some() -> torch.Tensor:
    """Choose some voxels."""
    return torch.rand(20, 30, generator=torch.Generator().manual_seed(0)) < 0.4


def fit(device: Any, move: Any, *, times: Any = TIMES, last: bool = False, **options: Any) -> dict[str, Any]:
    """Fit images by themselves."""
    images = voxels(times)
    images = images.movedim(0, -1).contiguous() if last else images
    moved = {name: move(value) if isinstance(value, torch.Tensor) else value for name, value in options.items()}
    return numbers(rx.fit(move(images), times, dim=-1 if last else 0, device=device, **moved))


def joint(device: Any, move: Any) -> dict[str, Any]:
    """Fit two contrasts at once."""
    subject = rx.phantom.liver_cohort(1, slices=1, shape=(32, 32), snr=20, seed=0)[0]
    return numbers(rx.fit_joint(move(subject.images), subject.protocol, device=device, chunk_size=100))


class Greedy(LeastSquares):
    """Least squares that take all memory for more than a few voxels."""

    def estimate(self, samples: Any) -> Any:
        if samples.values.device.type != "cpu" and samples.values.shape[1] > 75:
            raise torch.OutOfMemoryError
        return super().estimate(samples)

    def shortcut(self, weight: Any) -> None:
        del weight


def scarce(device: Any, move: Any) -> dict[str, Any]:
    """Fit where the memory of the device runs out."""
    return numbers(rx.fitting.run(Greedy, move(voxels()), TIMES, dim=0, device=device, chunk_size=250))


def gradient(device: Any, move: Any) -> dict[str, Any]:
    """Differentiate a fit."""
    images = move(voxels().double()).requires_grad_()
    rx.fit(images, TIMES, dim=0, device=device, chunk_size=250).maps["t"].nan_to_num().sum().backward()
    return {"gradient": images.grad}


def predict(device: Any, move: Any) -> dict[str, Any]:
    """Predict maps by a network."""
    torch.manual_seed(0)
    subject = rx.phantom.liver_cohort(1, slices=1, shape=(32, 32), snr=20, seed=0)[0]
    options = {"uncertainty": "heteroscedastic", "amplitude": True, "initial_estimates": (0, 1.5, "low-rank")}
    net = rx.nets.RelaxationNet(subject.protocol, "short", base=4, depth=2, **options).eval()
    images = move(subject.images[:, list(net.input_channels)])
    del device
    return net.to(images.device).predict(images)


def denoise(device: Any, move: Any) -> dict[str, Any]:
    """Denoise images in both ways."""
    del device
    images = move(rx.phantom.liver_cohort(1, slices=1, shape=(32, 32), snr=20, seed=0)[0].images)
    return {f.__name__: f(images) for f in (rx.denoise.low_rank, rx.denoise.non_local_means)}


def spatial(device: Any, move: Any) -> dict[str, Any]:
    """Fit all voxels at once."""
    del device
    subject = rx.phantom.liver_cohort(1, slices=1, shape=(32, 32), snr=20, seed=0)[0]
    result = rx.fit_spatial(move(subject.images), subject.protocol, labels=move(subject.labels), draws=4)
    return {**numbers(result), **{f"{name}_std": std for name, std in result.std.items()}}


def step(device: Any, move: Any, *, loss: str, weighting: str, inputs: str) -> dict[str, Any]:
    """Take a step of a training and one of its validation, without a trainer."""
    del device
    from relaxnet.training._module import RelaxationModule  # noqa: PLC0415 (it needs Lightning)

    class Module(RelaxationModule):
        trainer = SimpleNamespace(world_size=1, strategy=SimpleNamespace(reduce=lambda rows, **_: rows))
        current_epoch = global_rank = 0
        device = move(torch.zeros(1)).device

        def log(self, *_: Any, **__: Any) -> None:
            """Say nothing."""

    torch.manual_seed(0)
    preset, chosen = replace(rx.training.PRESETS["laptop"], base=4, depth=2), rx.training.LOSSES[loss]
    acquired, cases = gather(rx.phantom.liver_cohort(2, slices=1, shape=(32, 32), snr=20, seed=0), None)
    balance = _weighting(weighting, len(acquired.names))
    net = _network(None, acquired, inputs, preset, chosen, balance, None)
    labels = chosen.labels if chosen.kind == "supervised" else None
    slices = Slices(cases, acquired, needs_sigma=True, labels=labels, fresh_noise=preset.fresh_noise)
    module = Module(net, chosen, balance, preset, 0).to(Module.device)
    batch = {key: move(values) for key, values in collate([slices[0], slices[1]]).items()}
    value = module.training_step(batch, 0)
    value.backward()
    module.on_validation_epoch_start()
    module.validation_step(batch, 0)
    slopes = torch.cat([p.grad.reshape(-1) for p in module.parameters() if p.grad is not None])
    return {"loss": value.detach(), "gradient": slopes / slopes.abs().max(), "residuals": module.sums}


def numbers(result: rx.FitResult) -> dict[str, Any]:
    """Return what is compared of a fit: statuses, numbers of samples and maps."""
    return {"status": result.status, "n_used": result.n_used, **result.maps}


FITS: dict[str, Case] = {
    "all": fit,
    "in chunks": partial(fit, chunk_size=250),
    "some voxels": partial(fit, mask=some(), chunk_size=100),
    "some voxels, times last": partial(fit, mask=some(), last=True),
    "maps alone": partial(fit, maps_only=True),
    "saturated": partial(fit, saturation=0.9),
    "a noise level": partial(fit, sigma=0.05),
    "a noise level by image": partial(fit, sigma=(0.05, 0.1, 0.05, 0.2)),
    "a noise level by sample": partial(fit, sigma=0.05 + 0.1 * torch.rand(4, 20, 30), chunk_size=250),
    "two-point": partial(fit, method="two-point"),
    "log-linear": partial(fit, method="log-linear"),
    "rician": partial(fit, method="rician", sigma=0.05),
    "with an offset": partial(fit, model=rx.signals.MonoExponentialWithOffset()),
    "stretched": partial(fit, model=rx.signals.StretchedExponential(0.8)),
    "inversion recovery": partial(fit, times=LATER, model=rx.signals.InversionRecovery()),
    "saturation recovery": partial(fit, times=LATER, model=rx.signals.SaturationRecovery()),
    "joint": joint,
    "memory runs out": scarce,
    "gradient": gradient,
}
MOVED = ("all", "some voxels, times last", "a noise level by sample", "memory runs out", "gradient")
OTHERS: dict[str, Case] = {"spatial": spatial, "predict": predict, "denoise": denoise}
STEPS: dict[str, Case] = {
    **{f"a step, {name}": partial(step, loss="paper", weighting=name, inputs="short") for name in rx.losses.WEIGHTINGS},
    **{f"a step, {name}": partial(step, loss=name, weighting="fixed", inputs="any") for name in rx.training.LOSSES},
}
CASES = {
    **{f"{name}: brought over": case for name, case in FITS.items()},
    **{f"{name}: moved": FITS[name] for name in MOVED},
    **{f"{name}: moved": case for name, case in (OTHERS | STEPS).items()},
}
"""Images are brought over block by block, or are moved to the device before."""


def difference(name: str, device: torch.device) -> str | None:
    """Say how the device differs from the processor, or that it does not."""
    case, moves = CASES[name], name.endswith("moved")
    expected = case(None, lambda images: images)
    found = case(None, lambda images: images.to(device)) if moves else case(device, lambda images: images)
    for key, values in found.items():
        if values.device != (device if moves else torch.device("cpu")):
            return f"{key} is on {values.device}"
        scale = 1 + expected[key].abs()
        worst = float(((values.cpu() - expected[key]) / scale).abs().nan_to_num(posinf=0, neginf=0).max())
        if worst > (0 if key in ("status", "n_used") else 2e-4) or not torch.equal(
            values.cpu().isnan(), expected[key].isnan()
        ):
            return f"{key} differs by {worst:.2g}"
    return None


def main() -> None:
    """Compare all cases."""
    device = torch.device("cuda:0") if torch.cuda.is_available() else register()
    outcome = {}
    for name in CASES:
        try:
            outcome[name] = difference(name, device)
        except Exception:  # noqa: BLE001 (which fails is what is asked)
            outcome[name] = traceback.format_exc()
    json.dump(outcome, sys.stdout)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
