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
# A network that learns from the decay law gives each region the relaxation time that
# makes its loss smallest. Without noise that is the true one, whatever the loss. With
# noise it need not be. This page looks at the losses themselves, without any network:
# at a region of one T1rho and one T2, many times as noisy as it may come.

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
# The residual of T1rho against the T1rho that is claimed, for Gaussian noise; each
# curve is divided by its smallest value. A dot marks the minimum. Predicting an early
# image from a late one multiplies noise by $e^{\Delta t/T}$, which makes a T that is
# too long look better: "all ordered pairs" leans to the right.

# %%
claimed = torch.linspace(25, 80, 56)
figure, panels = plt.subplots(1, 3, figsize=(11, 3.2), sharey=True, layout="constrained")
for panel, snr in zip(panels, (20, 10, 5), strict=True):
    images = region(snr, "gaussian")
    for name, residual in losses.items():
        curve = torch.stack([residuals(residual, images, t)[0] for t in claimed])
        (line,) = panel.plot(claimed, curve / curve.min(), label=name)
        panel.plot(claimed[curve.argmin()], 1, "o", color=line.get_color())
    panel.axvline(truth["t1rho"], color="0.7", linestyle=":", zorder=0)
    panel.set(title=f"SNR {snr}", xlabel="claimed T1rho (ms)", ylim=(0.98, 1.4))
panels[0].set_ylabel("residual / smallest residual")
_ = panels[0].legend(fontsize=8)

# %% [markdown]
# ## The bias
#
# Where the minima lie, for T1rho / T2 in ms; the truth is 45 / 34. Rician noise lifts
# small signals, which looks like a slower decay, to any of them; `remove_rician_bias`
# takes the lift away.


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
# Orthogonal pairs have no bias: their noise does not depend on T. It is what
# `relaxnet.training.train` uses by default, with the Rician bias removed, and only with
# held-out images (`held_out_from`): their noise is independent of that of the input
# images, so a network cannot lower the loss by reproducing noise. `loss="paper"` brings
# back all ordered pairs of all images.
#
# ## How fast a scale arrives
#
# `HomoscedasticLaplace` learns one scale a task. At the learning rate of a network,
# 5e-4, it takes thousands of steps from its start at 1; at its own rate, 5e-2, a
# hundred. Started from the data it is there at once, and `ProfiledLaplace` always is.
# Until a scale has arrived, its task has the wrong weight.

# %%
images = region(20)
residual = losses["orthogonal pairs"](
    torch.tensor([45.0, 34.0]).reshape(1, 2, 1).expand(1, 2, n_voxels), images
)[..., :2000]
figure, axis = plt.subplots(figsize=(8, 3.2), layout="constrained")
runs = {
    "rate 5e-4, as the network": (5e-4, 1.0),
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
# Methods that look at the gradients of the tasks are not part of relaxnet. Its
# residuals go well with [TorchJD](https://torchjd.org) (`pip install torchjd`), which
# has them: hand it the mean residual of each task.

# %%
from torchjd.aggregation import AlignedMTL
from torchjd.autojac import jac_to_grad, mtl_backward

subject = rx.phantom.liver_cohort(n_subjects=1, slices=1, shape=(64, 64), snr=20)[0]
net = rx.nets.RelaxationNet(protocol, inputs="middle", base=8, depth=3)
constraint = rx.losses.PairwiseConstraint(
    protocol, pairs="orthogonal", held_out_from="middle"
)
optimizer = torch.optim.Adam(net.parameters(), lr=5e-4)

maps = net(subject.images[:, net.input_channels]).maps_ms
tasks = constraint(maps, subject.images / 1000).transpose(0, 1).flatten(1).mean(1)
mtl_backward(list(tasks), features=maps, retain_graph=True)
jac_to_grad(net.parameters(), AlignedMTL())
optimizer.step()
