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
# # From images to maps, by fit and by network
#
# This example shows the whole way once, at a size that takes a minute: simulate
# subjects whose T1rho and T2 are known, map them voxel by voxel, train a network
# without labels, and compare all maps with the ground truth. `relaxnet demo` does the
# same with more subjects and a longer training.

# %%
import dataclasses

import matplotlib.pyplot as plt
import numpy as np

import relaxnet as rx

# %% [markdown]
# ## What is acquired
#
# The protocol is that of Huang et al. (2023). Four spin-lock times give T1rho, four T2
# preparation times give T2, and the image at time 0 belongs to both, so there are seven
# images. A contrast carries its signal model, here a mono-exponential decay.

# %%
protocol = rx.protocols.LIVER_T1RHO_T2
for contrast in protocol.contrasts:
    print(contrast, "images", protocol.images_of(contrast.name))
print("input sets:", protocol.input_sets)

# %% [markdown]
# ## Digital subjects
#
# A subject holds the noisy images, the true maps, and a region of liver parenchyma.
# Subjects differ in anatomy and in disease. The same seed gives the same subjects on
# every machine.

# %% Seven weighted images of one slice
cohort = rx.phantom.liver_cohort(n_subjects=8, slices=2, shape=(64, 64), snr=20, seed=3)
subject = cohort[7]
print(subject)

figure, axes = plt.subplots(1, protocol.n_images, figsize=(12, 2), layout="constrained")
for channel, axis in enumerate(axes):
    axis.imshow(subject.images[0, channel].numpy(), cmap="gray", vmin=0, vmax=1500)
    axis.set(title=f"image {channel}", xticks=[], yticks=[])

# %% [markdown]
# ## Voxel by voxel
#
# Nonlinear least squares over all images of a contrast is the reference method of the
# field; the two-point formula needs only two images. The result has a status for every
# voxel. About a third of these voxels are air, in which nothing can be fitted.

# %%
t1rho = protocol.contrasts[0]
images = subject.images[:, protocol.images_of("t1rho")]
reference = rx.fit(images, t1rho, sigma=subject.sigma)
two_point = rx.fit(images, t1rho, method="two-point", pair=(0, 2))
print(reference.summary())

# %% [markdown]
# The fit also estimates its standard errors. Given the noise level, they agree with the
# errors that it makes:

# %%
error = (reference.maps["t1rho"] - subject.truth["t1rho"])[subject.roi]
standard_error = reference.std["t1rho"][subject.roi]
print(f"standard deviation of the errors: {error.std():.1f} ms")
print(f"median of the standard errors:    {standard_error.median():.1f} ms")

# %% [markdown]
# ## A network, without labels
#
# The network receives three of the seven images. It is trained on the signal model:
# with the right maps, each image can be computed from another one of the same contrast.
# By default the loss compares the images that are held out from the network. The ground
# truth is not used. T1rho and T2 are balanced by two Laplace scales that are learnt
# with the network.

# %% Validation residual and Laplace scale of both contrasts by epoch
preset = dataclasses.replace(
    rx.training.PRESETS["laptop"], base=8, depth=3, epochs=50, steps=4
)
trained = rx.training.train(cohort[:7], inputs="middle", preset=preset, progress=False)
network = trained.predict(subject.images)

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
epochs = [entry["epoch"] for entry in trained.history]
for name in protocol.names:
    residuals = [entry[f"val_residual_{name}"] for entry in trained.history]
    scales = [entry[f"scale_{name}"] for entry in trained.history]
    left.plot(epochs, residuals, label=name)
    right.plot(epochs, scales, label=name)
left.set(xlabel="epoch", ylabel="validation residual\n(fraction of the signal's RMS)")
right.set(xlabel="epoch", ylabel="Laplace scale\n(fraction of the signal's RMS)")
_ = right.legend()

# %% [markdown]
# ## Save and load
#
# A network is saved as a safetensors file, together with its protocol.

# %%
trained.save("liver.safetensors")
again = rx.load("liver.safetensors")
print(again.net.protocol == protocol, again.net.input_channels)

# %% [markdown]
# ## Side by side
#
# The error of a method is its mean absolute difference over the region, in ms: against
# the ground truth, which is known only in a phantom, and against the reference fit of
# all images, which studies of patients use instead. The two can disagree: a method that
# reproduces the noise of the reference is closer to the reference, but not to the
# truth.

# %%
maps = {
    "truth": subject.truth["t1rho"],
    "least squares, 7 images": reference.maps["t1rho"],
    "two-point, 3 images": two_point.maps["t1rho"],
    "network, 3 images": network["t1rho"],
}
print(f"{'T1rho error (ms) against':<24}  truth  reference")
for method, values in maps.items():
    errors = [
        rx.metrics.rmae(values, maps[other], subject.roi)
        for other in ("truth", "least squares, 7 images")
    ]
    print(f"{method:<24} {errors[0]:6.2f} {errors[1]:10.2f}")

# %% T1rho maps of four methods and their absolute errors
one_slice = {method: np.asarray(values[0]) for method, values in maps.items()}
rx.plots.comparison_figure(
    {"t1rho": one_slice}, roi=subject.roi[0].numpy(), range_ms=(20, 70)
)
