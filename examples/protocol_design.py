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
# # How good can a protocol get?
#
# No unbiased estimate of T1rho or T2 has a smaller standard deviation than the
# Cramér-Rao bound, whatever the method. The bound needs no scan: it follows from the
# signal model, the times and the noise. So protocols can be compared before anything is
# measured. A network that is better than the bound is not unbiased: it uses what it has
# learnt about typical livers.

# %%
import matplotlib.pyplot as plt
import numpy as np
import torch

import relaxnet as rx

protocol = rx.protocols.LIVER_T1RHO_T2
decay = rx.signals.MonoExponential()
t_ms = {"t1rho": 45.0, "t2": 34.0}  # healthy liver at 3 T
m0, sigma = 100.0, 5.0  # a signal-to-noise ratio of 20 in the first image

# %% [markdown]
# ## From two, three, four and seven images
#
# Two images of one contrast determine its T and its amplitude; none is left over to
# average noise. Three images (one of the paper's input sets) determine a common
# amplitude, T1rho and T2; again, none is left over. Of all seven, four are left over.
# Fitted jointly, both contrasts share one amplitude; fitted separately, each has its
# own.

# %%
rows = []


def add_row(label, bound):
    rows.append((label, float(bound["t1rho"]), float(bound["t2"])))


def separately(images):
    """Fit each contrast by itself from some of its four images."""
    times = {c.name: [c.times_ms[k] for k in images] for c in protocol.contrasts}
    return {
        name: rx.information.crlb(decay, m0, t_ms[name], times[name], sigma)["t"]
        for name in protocol.names
    }


for k, name in enumerate(("short", "middle", "long"), start=1):
    add_row(f"2 images of each contrast, {name}", separately([0, k]))
for name in protocol.input_sets:
    bound = rx.information.crlb_joint(protocol, m0, t_ms, sigma, inputs=name)
    add_row(f"3 images jointly, {name}", bound)
add_row("4 images of each contrast", separately(range(4)))
add_row("7 images jointly", rx.information.crlb_joint(protocol, m0, t_ms, sigma))

print(f"{'smallest standard deviation (ms)':<34} T1rho     T2")
for label, t1rho, t2 in rows:
    print(f"{label:<34}{t1rho:6.2f} {t2:6.2f}")

# %% [markdown]
# Three images jointly are as precise as two for each contrast: with as many images as
# unknowns, there is nothing to average. The standard deviation of the short set is more
# than twice that of the long one.
#
# ## What a fit reaches
#
# Least squares comes close to the bound at this noise. Below, the standard deviation of
# `rx.fit` over many noisy voxels, divided by the bound, for Gaussian noise:

# %%
generator = torch.Generator().manual_seed(0)
contrast = protocol.contrasts[0]
for snr in (5, 10, 20, 50, 100):
    clean = decay(torch.full((100_000,), m0), torch.full((100_000,), 45.0), contrast)
    noisy = rx.signals.add_noise(clean, m0 / snr, kind="gaussian", generator=generator)
    fitted = rx.fit(noisy, contrast, sigma=m0 / snr)
    error = fitted.maps["t1rho"][fitted.ok] - 45.0
    bound = float(rx.information.crlb(decay, m0, 45.0, contrast, m0 / snr)["t"])
    ratio = float(error.square().mean().sqrt()) / bound
    print(f"SNR {snr:>3}: bound {bound:5.2f} ms, ratio {ratio:.3f}")

# %% [markdown]
# At an SNR of 5 the errors are no longer normally distributed: a few voxels hardly seem
# to decay, and their T can be arbitrarily long. There, a fit does not come close to the
# bound.
#
# ## Which T is measured well?
#
# Each set of times measures some relaxation times better than others.

# %% Smallest relative standard deviation against T1rho, for sets of images
t = np.geomspace(10, 150, 200)
figure, axis = plt.subplots(figsize=(9, 3.5), layout="constrained")
for k, name in enumerate(("short", "middle", "long"), start=1):
    times = [contrast.times_ms[0], contrast.times_ms[k]]
    bound = rx.information.crlb(decay, m0, t, times, sigma)["t"]
    axis.loglog(t, 100 * bound / t, label=f"2 images, {name}: 0 and {times[1]:g} ms")
bound = rx.information.crlb(decay, m0, t, contrast, sigma)["t"]
axis.loglog(t, 100 * bound / t, "k", label="all 4 images")
axis.axvspan(30, 60, color="0.9", zorder=0, label="T1rho of livers")
axis.set(xlabel="T1rho (ms)", ylabel="smallest standard deviation (%)")
axis.set_xticks([10, 20, 50, 100], ["10", "20", "50", "100"])
axis.set_yticks([5, 10, 20, 50, 100], ["5", "10", "20", "50", "100"])
axis.minorticks_off()
_ = figure.legend(loc="outside right center")

# %% [markdown]
# ## Better times
#
# Which four times up to 60 ms would measure T between 30 and 60 ms best? Equal times
# mean that an image is acquired again, and averaged.

# %%
best = rx.information.optimal_times(decay, t_range_ms=(30, 60), n=4, max_ms=60)
print("best times:", ", ".join(f"{time:.1f}" for time in best), "ms")
for label, times in {"paper": contrast.times_ms, "best": best}.items():
    bound = rx.information.crlb(decay, m0, 45.0, times, sigma)["t"]
    print(f"{label}: {float(bound):.2f} ms")

# %% [markdown]
# One image at the start and three late ones: a mono-exponential decay has two unknowns,
# so two different times are enough, and the late image, whose signal is weaker, is
# repeated. Times in between are useful where the decay might *not* be mono-exponential,
# which two different times could not show.
#
# ## Magnitudes near the noise
#
# A magnitude near the noise carries less information about its amplitude than a
# Gaussian sample. With late images and little signal, the difference is visible:

# %% Smallest standard deviation of T1rho against the SNR, by the law of the noise
snrs = np.geomspace(1.5, 30, 40)
figure, axis = plt.subplots(figsize=(6.5, 3), layout="constrained")
for noise, style in {"gaussian": "-", "rician": "--"}.items():
    bounds = [
        rx.information.crlb(decay, m0, 20.0, contrast, m0 / snr, noise=noise)["t"]
        for snr in snrs
    ]
    axis.loglog(snrs, bounds, style, label=f'noise="{noise}"')
axis.set(
    xlabel="signal-to-noise ratio of the first image",
    ylabel="smallest standard deviation\nof T1rho = 20 ms (ms)",
)
axis.set_xticks([2, 5, 10, 20], ["2", "5", "10", "20"])
axis.set_yticks([1, 2, 5, 10, 20, 50], ["1", "2", "5", "10", "20", "50"])
axis.minorticks_off()
_ = axis.legend()
