"""The settings of the experiments, from minutes to a GPU."""

from dataclasses import replace

from relaxnet.experiments._harness.experiment import Setting
from relaxnet.phantom import Texture
from relaxnet.training import PRESETS

_DEFAULTS = {name: getattr(PRESETS["laptop"], name) for name in ("initial_estimates", "rate_shift", "flips")}
"""What the library's own networks have, whatever the size, and those of the paper do not."""

SMOKE = Setting(
    "smoke",
    PRESETS["smoke"],
    zero_shot_epochs=1,
    weights=(0.25, 0.75),
    scan_steps=2,
    small_steps=3,
    snrs=(10.0, 20.0),
    n_subjects=6,
    slices=1,
    n_folds=2,
    texture=Texture(),
    pixel_mm=4.0,
    floor_voxels=2,
    timed_shape=(32, 32),
)
"""As ``LAPTOP``, but so small that it all runs within minutes."""

LAPTOP = Setting(
    "laptop",
    replace(PRESETS["laptop"], shape=(128, 128), epochs=40, steps=1),
    zero_shot_epochs=150,
    weights=(0.05, 0.15, 0.25, 0.35, 0.5, 0.65, 0.75, 0.85, 0.95),
    slices=1,
    texture=Texture(),
    pixel_mm=2.0,
)
"""Texture as in real tissue; crops around the liver, whose pixels are as small as those of a scanner."""

LAPTOP_SMOOTH = replace(
    LAPTOP,
    name="laptop-smooth",
    preset=replace(LAPTOP.preset, shape=(64, 64)),
    slices=3,
    texture=None,
    pixel_mm=None,
    networks=("homou", "held-out-orthogonal"),
)
"""Whole slices of smooth tissue and 6 mm: one number for a whole liver is a better map there than most."""

PAPER = Setting(
    "paper",
    replace(PRESETS["paper"], steps=1, **_DEFAULTS),
    zero_shot_epochs=300,
    weights=tuple(k / 20 for k in range(1, 20)),
    texture=Texture(),
    networks=("stsm", "st", "sl", "heteu", "homou", "held-out-orthogonal"),
)
"""The size and the training of Huang et al. (2023), with the networks of their Table II and ours."""
