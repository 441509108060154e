# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Intervals that hold
#
# A standard deviation is worth something if intervals made of it hold the truth as often
# as they promise. This page measures that for a fit, and for a network on subjects like
# those of its training and on others with more noise.

# %%
# %matplotlib inline
import dataclasses
import warnings

import numpy as np

import relaxnet as rx

warnings.filterwarnings("ignore", "preset")  # that trainings of seconds are too short
small = dataclasses.replace(
    rx.training.PRESETS["laptop"], base=8, depth=3, epochs=20, steps=4
)
make = rx.phantom.liver_cohort
cohort = make(12, 1, (48, 48), snr=20, seed=9, texture=(0.06, 5))
network = rx.training.train(cohort[:8], preset=small, progress=False)


def fit(subject):
    """Map T1rho of a subject by the fit of four images, with its noise level."""
    images = subject.images[:, subject.protocol.images_of("t1rho")]
    result = rx.fit(images, subject.protocol.contrasts[0], sigma=subject.sigma)
    return result.maps["t1rho"], result.std["t1rho"]


def predict(subject):
    """Map T1rho of a subject by the network."""
    maps = network.predict(subject.images)
    return maps["t1rho"], maps["t1rho_std"]


# %% [markdown]
# ## How often do they hold?
#
# `Calibration` collects subjects. Its report has the share of voxels within intervals of
# several levels, each averaged over subjects, and proper scores.

# %%
noisy = make(12, 1, (48, 48), snr=10, seed=9, texture=(0.06, 5))
for name, way, kind in (
    ("fit", fit, "gaussian"),
    ("network", predict, "laplace"),
):
    for where, subjects in {"SNR 20": cohort[8:], "SNR 10": noisy[8:]}.items():
        calibration = rx.metrics.Calibration(kind=kind)
        for subject in subjects:
            values, std = way(subject)
            calibration.update(
                values, std, subject.truth["t1rho"], subject.roi, subject=subject.name
            )
        scores = calibration.compute().mean
        shares = ", ".join(
            f"{100 * level:.0f} %: {100 * share:.0f}"
            for level, share in scores.coverage.items()
        )
        print(f"{name:<8} {where}  held by intervals of {shares}")

# %% [markdown]
# ## Are the unsure voxels the wrong ones?
#
# In the figure, voxels are ordered by their standard deviation. Where the points lie on
# the line, errors are as large as promised, for sure and for unsure voxels.

# %% Size of errors against the standard deviations of the network
predicted = [(network.predict(subject.images), subject) for subject in cohort[8:]]
errors, deviations = {}, {}
for name in network.net.protocol.names:
    errors[name] = np.concatenate(
        [(maps[name] - one.truth[name])[one.roi].numpy() for maps, one in predicted]
    )
    deviations[name] = np.concatenate(
        [maps[f"{name}_std"][one.roi].numpy() for maps, one in predicted]
    )
rx.plots.calibration_figure(errors, deviations)
