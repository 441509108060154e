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
# # A fit as a layer
#
# The maps of `rx.fit` and `rx.fit_joint` carry gradients with respect to the images. So
# something before the fit can be trained through it: here a small filter that denoises
# images, judged by the images that the fit does not see.

# %%
import matplotlib.pyplot as plt
import torch
from torch import nn

import relaxnet as rx

_ = torch.manual_seed(0)
contrast = rx.Contrast("t2", (10, 20, 30, 40, 50, 60, 70, 80))
protocol = rx.Protocol((contrast,))
cohort = rx.phantom.liver_cohort(3, 1, (64, 64), snr=15, seed=2, protocol=protocol)
images = torch.cat([subject.images for subject in cohort]) / 1000
body = torch.cat([subject.labels for subject in cohort]) > 0
seen, unseen = [0, 2, 4, 6], [1, 3, 5, 7]
times = [contrast.times_ms[k] for k in seen]

# %% [markdown]
# ## The filter
#
# Each image is convolved with one small kernel, whose weights are positive and sum to 1.


# %%
class Smooth(nn.Module):
    """A kernel of 5 x 5 for all images, which begins as one that changes nothing."""

    def __init__(self):
        super().__init__()
        start = torch.full((25,), -6.0)
        start[12] = 0
        self.logits = nn.Parameter(start)

    def forward(self, images):
        kernel = self.logits.softmax(0).reshape(1, 1, 5, 5)
        flat = images.flatten(0, 1)[:, None]
        return nn.functional.conv2d(flat, kernel, padding=2).reshape(images.shape)


# %% [markdown]
# ## Through the fit
#
# A voxel that cannot be fitted is NaN and has no gradient; leave it out of the loss.

# %%
smooth = Smooth()
optimizer = torch.optim.Adam(smooth.parameters(), lr=0.3)
decay = rx.signals.MonoExponential()
losses, errors = [], []
for _ in range(40):
    result = rx.fit(smooth(images[:, seen]), times, maps_only=True)
    t, m0 = result.maps["t"], result.maps["m0"]
    use = body & result.ok
    predicted = decay(m0[use], t[use], [contrast.times_ms[k] for k in unseen])
    loss = (predicted - images[:, unseen].movedim(1, -1)[use]).abs().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    found = zip(t.detach(), cohort, strict=True)
    errors.append(
        sum(rx.metrics.rmae(m[None], s.truth["t2"], s.roi) for m, s in found) / 3
    )

# %% Residual of unseen images and error of T2 by step, and the kernel found
figure, axes = plt.subplots(1, 3, figsize=(10, 2.8), layout="constrained")
axes[0].plot(losses)
axes[0].set(xlabel="step", ylabel="residual of unseen images")
axes[1].plot(errors)
axes[1].set(xlabel="step", ylabel="error of T2 in the liver (ms)")
kernel = smooth.logits.detach().softmax(0).reshape(5, 5)
figure.colorbar(axes[2].imshow(kernel, "gray"), ax=axes[2])
_ = axes[2].set(title="kernel", xticks=[], yticks=[])

# %% [markdown]
# The gradient is exact: it follows from the condition that the fit has found the
# optimum, not from its steps. There is no second derivative.
