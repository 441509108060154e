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
# # Train on your own scans
#
# A network needs no labels: it learns from the images that it does not receive. So any
# set of scans with the same protocol will do. This page trains on arrays of eight echoes
# and on T1rho alone, on a single scan, and on a folder. The networks are small and
# trained for seconds, to show how; the preset `"laptop"` takes minutes and is worth
# more.

# %%
import dataclasses
import warnings

import matplotlib.pyplot as plt
import numpy as np

import relaxnet as rx

warnings.filterwarnings("ignore", "preset")  # that trainings of seconds are too short
warnings.filterwarnings("ignore", "no standard deviations")  # of a single scan
small = dataclasses.replace(
    rx.training.PRESETS["laptop"], base=8, depth=3, epochs=12, steps=4
)


def scans(protocol, n, seed):
    """Make arrays (slice, image, row, column), as yours may be; with their truth."""
    cohort = rx.phantom.liver_cohort(
        n, 1, (48, 48), snr=20, seed=seed, protocol=protocol, texture=(0.06, 5)
    )
    return [subject.images.numpy() for subject in cohort], cohort


# %% [markdown]
# ## Eight echoes of T2
#
# `inputs` are the channels that the network will get when it is used; the other images
# are only needed for training. Here three of eight echoes are inputs.

# %%
echoes = rx.Protocol((rx.Contrast("t2", (10, 20, 30, 40, 50, 60, 70, 80)),))
arrays, cohort = scans(echoes, 8, seed=1)
of_t2 = rx.training.train(arrays, echoes, inputs=(0, 3, 7), preset=small, progress=False)
maps = of_t2.predict(arrays[0])
print(sorted(maps), maps["t2"].shape)

# %% [markdown]
# ## T1rho alone, four images
#
# With four images, two are inputs and two are left to learn from.

# %%
spin_lock = rx.Protocol((rx.Contrast("t1rho", (0, 10, 30, 50)),))
of_t1rho = rx.training.train(
    scans(spin_lock, 8, seed=2)[0],
    spin_lock,
    inputs=(0, 2),
    preset=small,
    progress=False,
)
of_t1rho.net.input_channels

# %% [markdown]
# ## A single scan
#
# `validation=0` sets nothing aside. The network then knows one scan, and has no
# standard deviations, because there is nothing to calibrate them with.

# %%
of_one = rx.training.train(
    arrays[:1],
    echoes,
    inputs=(0, 3, 7),
    preset=small,
    validation=0,
    progress=False,
)

# %% [markdown]
# ## A folder
#
# `read_cohort` opens a folder with a subject in each subfolder, as `relaxnet simulate`
# writes it. Masks beside the images say which voxels to learn from. The command is
# `relaxnet train cohort/ --out run/`.

# %%
rx.io.write_cohort(cohort[:4], "cohort", overwrite=True)
folder = rx.io.read_cohort("cohort")
of_folder = rx.training.train(
    folder, inputs=(0, 3, 7), preset=small, mask=folder.masks(), progress=False
)
print(len(folder), "subjects of", folder.protocol.names)

# %% [markdown]
# ## How good is it?
#
# Scans have no truth, but images that neither network nor fit has seen can judge. Here
# the truth is known, too. Compare with the fit of the same three images, and with that
# of all eight.

# %% T2 of one subject: truth, fit of three images, network, fit of eight images
images, truth = arrays[0], cohort[0].truth["t2"]
inputs = [0, 3, 7]
times = [echoes.contrasts[0].times_ms[k] for k in inputs]
ways = {
    "truth": truth.numpy(),
    "fit, 3 images": rx.fit(images[:, inputs], times).maps["t"],
    "network, 3 images": maps["t2"],
    "fit, 8 images": rx.fit(images, echoes.contrasts[0]).maps["t2"],
}
figure, axes = plt.subplots(1, 4, figsize=(11, 3), layout="constrained")
for axis, (name, values) in zip(axes, ways.items(), strict=True):
    error = rx.metrics.rmae(values, truth, cohort[0].roi)
    axis.set(title=f"{name}\n{error:.1f} ms", xticks=[], yticks=[], facecolor="0.8")
    shown = axis.imshow(
        np.where(cohort[0].labels > 0, values, np.nan)[0], vmin=0, vmax=90
    )
_ = figure.colorbar(shown, ax=axes, label="T2 (ms)", extend="max")
