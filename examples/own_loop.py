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
# # The losses in a training loop of your own
#
# Residuals and weightings are modules of torch, and know nothing of the rest of
# relaxnet. This page uses them with a network of one's own, and then balances two tasks
# that have nothing to do with MR.

# %%
import matplotlib.pyplot as plt
import torch
from torch import nn

import relaxnet as rx

_ = torch.manual_seed(0)
protocol = rx.protocols.LIVER_T1RHO_T2
cohort = rx.phantom.liver_cohort(4, 1, (48, 48), snr=20, seed=1)
images = torch.cat([subject.images for subject in cohort]) / 1000

# %% [markdown]
# ## A constraint and a weighting
#
# Any network that predicts a T in ms for each contrast will do. The constraint compares
# images that it does not receive; the weighting learns one scale for each contrast,
# with a learning rate of its own.

# %%
inputs = list(protocol.input_sets["middle"])
net = nn.Sequential(
    nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 2, 3, padding=1)
)
constraint = rx.losses.PairwiseConstraint(
    protocol, pairs="orthogonal", held_out_from="middle"
)
weighting = rx.losses.HomoscedasticLaplace(n_tasks=2)
optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
optimizer.add_param_group(*weighting.parameter_groups(lr=5e-2))
mask = torch.cat([subject.labels for subject in cohort]) > 0

residuals = []
for _ in range(150):
    maps_ms = 5 + 195 * torch.sigmoid(net(images[:, inputs]) - 1.5)
    residual = constraint(maps_ms, images)
    optimizer.zero_grad()
    weighting(residual, mask=mask).backward()
    optimizer.step()
    seen = residual.detach()
    residuals.append([float(seen[:, k][mask].mean()) for k in range(2)])
print("scales:", *(f"{scale:.3f}" for scale in weighting.scales))

# %% [markdown]
# ## Two tasks of any kind
#
# A weighting takes the absolute errors of each task, (batch, task, ...). Here one small
# network predicts two quantities of very different size from the same input. Equal
# weights neglect the small one.

# %%
x = torch.rand(512, 4)
large = 800 * torch.sin(3 * x[:, 0]) + 40 * torch.randn(512)
small = 0.08 * (x[:, 1] * x[:, 2]) + 0.004 * torch.randn(512)
targets = torch.stack([large, small], dim=1)
spread = targets.std(0)
curves = {}
for name, weighting in {
    "equal weights": rx.losses.FixedWeights((1.0, 1.0)),
    "learnt scales": rx.losses.HomoscedasticLaplace(n_tasks=2, init="data"),
    "scales at their optimum": rx.losses.ProfiledLaplace(),
}.items():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 64), nn.Tanh(), nn.Linear(64, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for group in weighting.parameter_groups(lr=5e-2):
        optimizer.add_param_group(group)
    errors = []
    for _ in range(300):
        error = (model(x) * spread - targets).abs()
        optimizer.zero_grad()
        weighting(error).backward()
        optimizer.step()
        errors.append((error.mean(0) / spread).tolist())
    curves[name] = torch.tensor(errors)

# %% Residual of both contrasts by step, and error of both tasks by weighting
figure, axes = plt.subplots(1, 3, figsize=(11, 3), layout="constrained")
for k, name in enumerate(protocol.names):
    axes[0].plot([residual[k] for residual in residuals], label=name)
axes[0].set(title="maps", xlabel="step", ylabel="residual of held-out images")
for k, title in enumerate(("large task", "small task")):
    for name, curve in curves.items():
        axes[k + 1].semilogy(curve[:, k], label=name)
    axes[k + 1].set(title=title, xlabel="step", ylabel="error / spread of the targets")
axes[0].legend()
_ = axes[2].legend(fontsize=8)
