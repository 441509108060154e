"""Train the network of this package: ``python weights/train.py RUN``. Started again, it goes on where it stopped.

It takes half an hour of one core. ``evaluate.py`` then measures what the network is worth.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

import relaxnet as rx

NETWORK = Path(__file__).parent / "relaxnet_weights" / "liver-any.safetensors"
N_SUBJECTS, SEED, SHAPE = 400, 20261, (128, 128)
PRESET = replace(rx.training.PRESETS["laptop"], shape=SHAPE, epochs=12, steps=120, fresh_noise=True)
STEPS = 720  # of 1440: the validation residual had stopped to fall, and a lower rate brought no smaller errors
QUIET_BREATHING = rx.phantom.Breathing((2.0, 0.5))


def subjects(n: int, seed: int) -> Iterator[rx.phantom.Subject]:
    """Simulate livers as different as those of several hospitals.

    Parameters
    ----------
    n
        Number of subjects.
    seed
        Seed of all random numbers.

    Yields
    ------
    Subject
        One slice of a liver of any state, whose field strength, noise, texture and size of pixels are drawn; in a
        quarter of them, images are shifted by breathing.
    """
    rng = np.random.default_rng(seed)
    for k in range(n):
        texture = rx.phantom.Texture(sd=rng.uniform(0.03, 0.12), length_mm=rng.uniform(3, 8))
        yield rx.phantom.liver_cohort(
            k + 1,
            slices=1,
            shape=SHAPE,
            snr=float(np.exp(rng.uniform(np.log(8), np.log(50)))),
            seed=seed,
            field_tesla=float(rng.choice((1.5, 3.0))),
            corruptions=[QUIET_BREATHING] if rng.uniform() < 0.25 else [],
            texture=texture,
            pixel_mm=rng.uniform(1.5, 3.0),
        )[k]


def main() -> None:
    """Train, and write the network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="folder of the run, where the network is in single precision, too")
    run = parser.parse_args().run
    trained = rx.training.train(
        list(subjects(N_SUBJECTS, SEED)),
        loss="supervised-truth",
        preset=PRESET,
        inputs="random",
        validation=0.1,
        trainer={"max_steps": STEPS},
        out=run,
    )
    trained.save(run / "network.safetensors")
    trained.save(NETWORK, half=True)


if __name__ == "__main__":
    main()
