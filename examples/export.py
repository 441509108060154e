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
# # Export a network
#
# A network is a `torch.nn.Module`: it can be exported as a graph that runs without
# relaxnet, and compiled. Initial estimates, bounds and scaling are part of the graph.

# %%
import dataclasses
import io

import matplotlib.pyplot as plt
import torch

import relaxnet as rx

cohort = rx.phantom.liver_cohort(4, 1, (64, 64), snr=20, seed=3)
ours = rx.training.PRESETS["laptop"].initial_estimates
preset = dataclasses.replace(
    rx.training.PRESETS["smoke"],
    epochs=50,
    steps=4,
    patience=50,
    initial_estimates=ours,
)
trained = rx.training.train(cohort[:3], inputs="middle", preset=preset, progress=False)
images = cohort[3].images[:, trained.net.input_channels]

# %% [markdown]
# ## torch.export
#
# The network returns maps, and scales where it has them. Wrap what you need. The graph
# takes images of the shape of its example, so slices go through it one by one.


# %%
class Maps(torch.nn.Module):
    """T1rho and T2 in ms from three images in any unit."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, images):
        return self.net(images).maps_ms


net = Maps(trained.net.eval())
program = torch.export.export(net, (images,))
file = io.BytesIO()  # or a path
torch.export.save(program, file)
_ = file.seek(0)
again = torch.export.load(file).module()
with torch.no_grad():
    maps, exported = net(images), again(images)
print(f"largest difference: {(maps - exported).abs().max():.1e} ms")

# %% Maps of the exported network, in ms
figure, axes = plt.subplots(1, 2, figsize=(7, 2.8), layout="constrained")
for axis, map_, name in zip(axes, exported[0], trained.net.protocol.names, strict=True):
    figure.colorbar(axis.imshow(map_, vmin=20, vmax=70), ax=axis, label="ms")
    axis.set(title=name, xticks=[], yticks=[])

# %% [markdown]
# `torch.compile(net, fullgraph=True)` takes the same module. For ONNX
# (`torch.onnx.export`), train without estimates from local low rank, as ONNX has no
# eigenvectors: `dataclasses.replace(preset, initial_estimates=(0, 1.5, 3, 6))`.
