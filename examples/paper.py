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
# # The paper's experiments
#
# The images of the paper are private. Here its tables and figures are made again on
# digital subjects, whose true maps are known, with some experiments of our own. This
# page runs one of them at the size of a test, to show how; {doc}`../experiments` shows
# the results at full size.

# %%
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt

import relaxnet as rx

# %% [markdown]
# An experiment is a question, and a plan of steps:

# %%
smoke = rx.experiments.SETTINGS["smoke"].load()
for name, choice in rx.experiments.EXPERIMENTS.items():
    print(f"{name:10} {len(choice.load().steps(smoke)):3} steps: {choice.summary}")

# %% [markdown]
# `run` computes the steps that have not been computed yet, several at a time, and
# summarises their outcomes. Steps that experiments have in common, such as the training
# of a network that is in two tables, are computed once:

# %%
out = Path(tempfile.mkdtemp())
results = rx.experiments.run("snr", preset="smoke", seeds=1, out=out, jobs=1)

# %% [markdown]
# A result has rows, and a row has entries: the mean error over subjects in ms and its
# 95 % interval, either against the truth or against the four-image fit, which is the
# reference in studies of patients, and more:

# %%
for name, row in results["snr"]["rows"].items():
    entry = row["entries"][0]
    print(f"{name:22} {entry['mean']:6.2f} ms against the {entry['against']}")

# %% [markdown]
# `render` writes results as tables, in Markdown and LaTeX, and as figures as wide as a
# column of a journal; with `figures="pdf"` for print. (After so short a training they
# show nothing of interest.) The command `relaxnet experiment all --preset laptop` does
# both.

# %%
for path in rx.experiments.render(out / "smoke"):
    print(path.name)

# %% Errors of networks and fits by noise and number of images
picture = plt.imread(out / "smoke" / "snr.png")
figure = plt.figure(figsize=(4.5, 4.5 * picture.shape[0] / picture.shape[1]))
axis = figure.add_axes((0, 0, 1, 1), frameon=False, xticks=[], yticks=[])
_ = axis.imshow(picture)
