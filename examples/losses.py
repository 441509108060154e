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
# # What a loss without labels prefers
#
# A network that is trained without labels learns to predict, for each region, the
# relaxation time with the smallest loss. Without noise this is the true one, whatever
# the loss. With noise it may be another one. This page studies the losses themselves,
# without a network: in a region with one T1rho and one T2, at several noise levels.

# %%
import matplotlib.pyplot as plt
import torch
from scipy.optimize import minimize_scalar

import relaxnet as rx

protocol = rx.protocols.LIVER_T1RHO_T2
truth = {"t1rho": 45.0, "t2": 34.0}
n_voxels = 100_000


def region(snr, noise="rician", seed=0):
    """Simulate all images of a region, (1, image, voxel), with an amplitude of 1."""
    m0 = torch.ones(1, n_voxels)
    images = torch.ones(1, protocol.n_images, n_voxels)
    for contrast in protocol.contrasts:
        t = torch.full_like(m0, truth[contrast.name])
        images[:, protocol.images_of(contrast.name)] = rx.signals.MonoExponential()(
            m0, t, contrast
        )
    generator = torch.Generator().manual_seed(seed)
    return rx.signals.add_noise(images, 1 / snr, kind=noise, generator=generator)


def residuals(residual, images, t_ms):
    """Compute the mean residual of both contrasts where all maps are t_ms."""
    maps = torch.full((1, 2, n_voxels), float(t_ms))
    return residual(maps, images).double().mean(dim=(0, 2))


losses = {
    "all ordered pairs (paper)": rx.losses.PairwiseConstraint(protocol, pairs="all"),
    "forward pairs": rx.losses.PairwiseConstraint(protocol, pairs="forward"),
    "orthogonal pairs": rx.losses.PairwiseConstraint(protocol, pairs="orthogonal"),
    "reconstruction": rx.losses.Reconstruction(protocol),
}

# %% [markdown]
# ## The landscape
#
# The residual of T1rho as a function of the assumed T1rho, for Gaussian noise; each
# curve is divided by its smallest value, and a dot marks the minimum. To predict an
# early image from a late one multiplies its noise by $e^{\Delta t/T}$, which is smaller
# for a long T. So the minimum of "all ordered pairs" lies at a T1rho that is too long.

# %% Residual against the assumed T1rho, with minima, at three noise levels
assumed = torch.linspace(25, 80, 56)
figure, panels = plt.subplots(1, 3, figsize=(11, 3.2), sharey=True, layout="constrained")
for panel, snr in zip(panels, (20, 10, 5), strict=True):
    images = region(snr, "gaussian")
    for name, residual in losses.items():
        curve = torch.stack([residuals(residual, images, t)[0] for t in assumed])
        (line,) = panel.plot(assumed, curve / curve.min(), label=name)
        panel.plot(assumed[curve.argmin()], 1, "o", color=line.get_color())
    panel.axvline(truth["t1rho"], color="0.7", linestyle=":", zorder=0)
    panel.set(title=f"SNR {snr}", xlabel="assumed T1rho (ms)", ylim=(0.98, 1.4))
panels[0].set_ylabel("residual / smallest residual")
_ = panels[0].legend(fontsize=8)

# %% [markdown]
# ## The bias
#
# The minima, as T1rho / T2 in ms; the truth is 45 / 34. Rician noise raises small
# signals, which every loss takes for a slower decay. `remove_rician_bias` corrects for
# that.


# %%
def preferred(residual, images):
    """Find the T1rho and the T2 that leave the smallest residual."""
    return [
        minimize_scalar(
            lambda t, k=k: float(residuals(residual, images, t)[k]),
            bounds=(20, 70),
            method="bounded",
            options={"xatol": 0.02},
        ).x
        for k in range(2)
    ]


cases = {
    "Gaussian, SNR 10": region(10, "gaussian"),
    "Gaussian, SNR 5": region(5, "gaussian"),
    "Rician, SNR 10": region(10),
    "same, corrected": rx.signals.remove_rician_bias(region(10), 1 / 10),
}
print(f"{'':18}{'all pairs':>13}{'forward':>13}{'orthogonal':>13}{'reconstr.':>13}")
for case, images in cases.items():
    found = [preferred(residual, images) for residual in losses.values()]
    print(f"{case:18}" + "".join(f"{t1rho:6.1f} /{t2:5.1f}" for t1rho, t2 in found))

# %% [markdown]
# Orthogonal pairs have no bias, because their noise does not depend on T. They are the
# default of `relaxnet.training.train`, with the Rician bias removed and only with
# held-out images (`held_out_from`): the noise of these is independent of the network
# input, so a network cannot lower the loss by reproducing noise. `loss="paper"` selects
# all ordered pairs of all images.
#
# ## How fast a scale converges
#
# `HomoscedasticLaplace` learns one scale for each task. From its start at 1, this takes
# thousands of steps at the learning rate of a network, 5e-4, and about a hundred at a
# rate of its own, 5e-2. A scale that starts from the data is right from the first step,
# and that of `ProfiledLaplace` always is. Until a scale has converged, its task has the
# wrong weight.

# %% Scale of T1rho by step, for two learning rates and a start from the data
images = region(20)
residual = losses["orthogonal pairs"](
    torch.tensor([45.0, 34.0]).reshape(1, 2, 1).expand(1, 2, n_voxels), images
)[..., :2000]
figure, axis = plt.subplots(figsize=(8, 3.2), layout="constrained")
runs = {
    "rate 5e-4, that of the network": (5e-4, 1.0),
    "rate 5e-2": (5e-2, 1.0),
    "started from the data": (5e-2, "data"),
}
for name, (rate, init) in runs.items():
    weighting = rx.losses.HomoscedasticLaplace(n_tasks=2, init=init)
    optimizer = torch.optim.Adam(weighting.parameter_groups(lr=rate))
    scales = []
    for _ in range(500):
        optimizer.zero_grad()
        weighting(residual).backward()
        optimizer.step()
        scales.append(float(weighting.scales[0]))
    axis.semilogy(scales, label=name)
profiled = rx.losses.ProfiledLaplace()
profiled(residual)
axis.axhline(float(profiled.scales[0]), color="0.4", linestyle=":", label="profiled")
axis.set(xlabel="step", ylabel="scale of T1rho\n(fraction of the first image)")
_ = axis.legend()

# %% [markdown]
# ## Balancing by gradients
#
# Methods that use the gradients of the tasks are not part of relaxnet. Its residuals
# work with [TorchJD](https://torchjd.org) (`pip install torchjd`), which has such
# methods: pass the mean residual of each task to it.
#
# ```python
# from torchjd.aggregation import AlignedMTL
# from torchjd.autojac import jac_to_grad, mtl_backward
#
# maps = net(images[:, net.input_channels]).maps_ms
# tasks = constraint(maps, images).transpose(0, 1).flatten(1).mean(1)
# mtl_backward(list(tasks), features=maps, retain_graph=True)
# jac_to_grad(net.parameters(), AlignedMTL())
# optimizer.step()
# ```
