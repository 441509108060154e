"""Measure a training step and a prediction beside the same steps of the U-Net alone: ``make bench-networks``.

Prints a table and writes ``results/networks.json`` and ``results/networks.md``. Seconds are those of the processor on
one thread, so another program on the machine hardly matters; ``gpu.py`` measures the same on a GPU, by the clock.
"""

import copy
import json
import os
import platform
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import torch

import relaxnet as rx
from relaxnet._files import write_text

RESULTS = Path(__file__).parent / "results"
SHAPE, BATCH = (256, 256), 4
STEPS, REPEATS = 4, 4
LABELS = {
    "bare_step": "U-Net alone: forward, backward, Adam",
    "training_step": "`train`, a step: augmentation, initial estimates, loss, averaging, validation, Lightning",
    "bare_prediction": "U-Net alone: forward",
    "prediction": "`predict`: initial estimates, U-Net, maps in ms",
}


def measure(
    device: torch.device, shape: tuple[int, int], batch: int, seconds_of: Callable[[Callable[[], object]], float]
) -> dict[str, float]:
    """Measure a network that is trained with the preset ``laptop``.

    Parameters
    ----------
    device
        Where to compute.
    shape
        Rows and columns of the slices.
    batch
        Slices in a batch.
    seconds_of
        Measures the seconds of an action.

    Returns
    -------
    dict
        Seconds of a step and of a prediction for a batch, by the keys of :data:`LABELS`.
    """
    cohort = rx.phantom.liver_cohort(batch + 1, slices=1, shape=shape, pixel_mm=384 / shape[0], snr=20, seed=0)
    preset = replace(rx.training.PRESETS["laptop"], batch_size=batch, steps=STEPS)
    options = {
        "validation": 1 / len(cohort),
        "trainer": {"accelerator": "gpu" if device.type == "cuda" else "cpu", "devices": 1},
        "progress": False,
    }

    def train(epochs: int) -> rx.training.Trained:
        with warnings.catch_warnings(action="ignore"):  # too few steps to learn from
            return rx.training.train(cohort, preset=replace(preset, epochs=epochs), **options)

    trained = train(1)
    both = [seconds_of(lambda epochs=epochs: train(epochs)) for epochs in (1, 3)]
    net = trained.net.to(device).eval()
    images = torch.cat([subject.images for subject in cohort[:batch]])[:, list(net.input_channels)].to(device)
    seen: list[torch.Tensor] = []
    hook = net.backbone.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach()))
    net.predict(images)
    hook.remove()
    channels = seen[0].contiguous(memory_format=torch.channels_last)
    bare = copy.deepcopy(net.backbone).train().to(memory_format=torch.channels_last).requires_grad_()
    optimizer = torch.optim.Adam(bare.parameters(), fused=True)

    def bare_step() -> None:
        optimizer.zero_grad()
        bare(channels).square().mean().backward()
        optimizer.step()

    found = {"bare_step": seconds_of(bare_step), "training_step": (both[1] - both[0]) / (2 * STEPS)}
    bare.eval()
    with torch.inference_mode():
        return found | {
            "bare_prediction": seconds_of(lambda: bare(channels)),
            "prediction": seconds_of(lambda: net.predict(images)),
        }


def processor_seconds(action: Callable[[], object]) -> float:
    """Return the shortest processor time of some runs, after one that warms up."""
    found = []
    for _ in range(REPEATS + 1):
        begin = time.process_time()
        action()
        found.append(time.process_time() - begin)
    return min(found[1:])


def table(found: dict[str, float]) -> str:
    """Write what was measured."""
    lines = ["| a batch of 4 slices of 256 × 256 | s | part of the U-Net alone |", "| :--- | ---: | ---: |"]
    for key, label in LABELS.items():
        bare = found["bare_step" if key.endswith("step") else "bare_prediction"]
        lines.append(f"| {label} | {found[key]:.2f} | {found[key] / bare:.2f} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, and write down what came out."""
    torch.set_num_threads(1)
    found = measure(torch.device("cpu"), SHAPE, BATCH, processor_seconds)
    about = {
        "command": "python benchmarks/networks.py",
        "versions": {name: version(name) for name in ("relaxnet", "torch", "numpy", "lightning")},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, shared; one thread",
    }
    write_text(RESULTS / "networks.json", json.dumps(about | {"seconds": found}, indent=1) + "\n")
    write_text(RESULTS / "networks.md", table(found) + "\n")
    print(table(found))


if __name__ == "__main__":
    main()
