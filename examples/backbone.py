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
# # A network of your own inside
#
# The U-Net can be replaced by any network from images to images: one of MONAI, of
# segmentation-models, or your own. Bounds, scaling, initial estimates, training,
# calibration and files stay as they are.

# %%
import dataclasses
import warnings

import matplotlib.pyplot as plt
import numpy as np
from torch import nn

import relaxnet as rx

warnings.filterwarnings("ignore", "preset")  # that trainings of seconds are too short
protocol = rx.protocols.LIVER_T1RHO_T2


class Dilated(nn.Module):
    """Four convolutions that look farther and farther."""

    def __init__(self, n_in, n_out, width=24):
        super().__init__()
        steps = [nn.Conv2d(n_in, width, 3, padding=1), nn.ReLU()]
        for dilation in (2, 4):
            conv = nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation)
            steps += [conv, nn.ReLU()]
        self.body = nn.Sequential(*steps, nn.Conv2d(width, n_out, 1))

    def forward(self, images):
        return self.body(images)


# %% [markdown]
# Three inputs and, for each contrast, one output. `multiple` would say that the height
# and width must be multiples of a number; images are padded then.

# %%
module = Dilated(3, 2)
backbone = rx.nets.as_backbone(module, in_channels=3, out_channels=2)
net = rx.nets.RelaxationNet(protocol, inputs="middle", backbone=backbone)
sum(parameter.numel() for parameter in net.parameters())

# %% [markdown]
# `train(net=...)` begins with it:

# %%
preset = dataclasses.replace(rx.training.PRESETS["laptop"], epochs=30, steps=4)
cohort = rx.phantom.liver_cohort(6, 1, (48, 48), snr=20, seed=3)
trained = rx.training.train(
    cohort[:5], net=net, inputs="middle", preset=preset, progress=False
)

# %% [markdown]
# With MONAI, the module is `BasicUNet(2, 3, 2)`, and with segmentation-models
# `Unet("resnet18", in_channels=3, classes=2)` with `multiple=32`.

# %% Validation residual by epoch, and T1rho of a subject with its truth
subject = cohort[5]
found = trained.predict(subject.images)["t1rho"]
figure, axes = plt.subplots(1, 3, figsize=(11, 3), layout="constrained")
for name in protocol.names:
    curve = [entry[f"val_residual_{name}"] for entry in trained.history]
    axes[0].plot(curve, label=name)
axes[0].set(xlabel="epoch", ylabel="validation residual")
axes[0].legend()
error = rx.metrics.rmae(found, subject.truth["t1rho"], subject.roi)
shown = {"truth": subject.truth["t1rho"], f"network, {error:.1f} ms": found}
for axis, (title, values) in zip(axes[1:], shown.items(), strict=True):
    axis.set(title=title, xticks=[], yticks=[])
    inside = np.where(subject.labels[0] > 0, values[0], np.nan)
    image = axis.imshow(inside, vmin=0, vmax=120)
_ = figure.colorbar(image, ax=axes[1:], label="T1rho (ms)", extend="max")
