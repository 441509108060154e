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
# # Predict, fine-tune, and combine networks
#
# A trained network is one file. It can be loaded without its training data, applied to
# new scans, trained further on other ones, and combined with its like.

# %%
import dataclasses
import warnings

import matplotlib.pyplot as plt

import relaxnet as rx

warnings.filterwarnings("ignore", "preset")  # that trainings of seconds are too short
small = dataclasses.replace(
    rx.training.PRESETS["laptop"], base=8, depth=3, epochs=15, steps=4
)
make = rx.phantom.liver_cohort
cohort = make(9, 1, (48, 48), snr=20, seed=5)
networks = [
    rx.training.train(cohort[:6], preset=small, seed=seed, progress=False)
    for seed in range(2)
]

# %% [markdown]
# ## Save, load, predict
#
# `predict` takes all images or the inputs alone, as arrays or tensors, of any size. The
# command is `relaxnet predict liver.safetensors scan.nii.gz --out maps/`.

# %%
networks[0].save("liver.safetensors")
network = rx.load("liver.safetensors")
subject = cohort[6]
maps = network.predict(subject.images)
print(sorted(maps), tuple(maps["t1rho"].shape))
print("inputs:", network.net.input_channels, "of", network.net.protocol.n_images)

# %% [markdown]
# ## Fine-tune
#
# Other scanners have other noise and other contrast. `net=` goes on from a trained
# network; here to subjects at 1.5 T with more noise.

# %%
elsewhere = make(6, 1, (48, 48), snr=10, seed=11, field_tesla=1.5)
tuned = rx.training.train(
    elsewhere[:4], net=network, preset=small, seed=1, progress=False
)

# %% [markdown]
# ## Combine
#
# An ensemble averages networks of several seeds. Where they differ, its standard
# deviation grows. Calibration needs subjects that no network was trained with.

# %%
ensemble = rx.training.Ensemble(networks).calibrated(cohort[7:])

# %% Error of the networks at home and elsewhere
ways = {"network": network, "fine-tuned": tuned, "ensemble": ensemble}
places = {"as trained, 3 T, SNR 20": cohort[6], "1.5 T, SNR 10": elsewhere[5]}
figure, axes = plt.subplots(1, 2, figsize=(9, 2.8), sharey=True, layout="constrained")
for axis, (place, tested) in zip(axes, places.items(), strict=True):
    truth = tested.truth["t1rho"]
    errors = {
        name: rx.metrics.rmae(way.predict(tested.images)["t1rho"], truth, tested.roi)
        for name, way in ways.items()
    }
    contrast = tested.protocol.contrasts[0]
    images = tested.images[:, tested.protocol.images_of("t1rho")]
    fit = rx.fit(images, contrast, sigma=tested.sigma).maps["t1rho"]
    errors["fit, 4 images"] = rx.metrics.rmae(fit, truth, tested.roi)
    axis.bar(list(errors), list(errors.values()), color=["C0", "C1", "C2", "0.6"])
    axis.set(title=place)
_ = axes[0].set_ylabel("error of T1rho in the liver (ms)")

# %% [markdown]
# One subject and a training of seconds prove nothing; the experiments have cohorts.
