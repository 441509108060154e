# ---
# jupytext:
#   formats: py:percent
# ---

# %% [markdown]
# # The paper's experiments
#
# The patients of the paper are private. Here all its tables and figures are made again
# on digital patients, whose truth is known, and some more that it does not have. This
# page runs them at the size of a test, in a minute or two, to show how;
# {doc}`../experiments` shows what came out at full size.

# %%
import tempfile
from pathlib import Path

import relaxnet as rx

# %% [markdown]
# An experiment is a question, and a plan of steps:

# %%
smoke = rx.experiments.SETTINGS["smoke"]
for name, choice in rx.experiments.EXPERIMENTS.items():
    print(f"{name:10} {len(choice.load().steps(smoke, 1)):3} steps: {choice.summary}")

# %% [markdown]
# `run` computes the steps that nobody has computed yet, several at a time, and sums them
# up. What experiments have in common, such as a network that stands in two tables, is
# computed once:

# %%
out = Path(tempfile.mkdtemp())
names = ("fig3", "snr")
results = rx.experiments.run(names, preset="smoke", seeds=1, out=out, jobs=1)

# %% [markdown]
# A result has rows, and a row has entries: the mean error over patients in ms, its 95 %
# interval, whether it is told against the truth or against the four-image fit, which is
# what studies of patients have to make do with, and much else:

# %%
for name, row in results["snr"]["rows"].items():
    entry = row["entries"][0]
    print(f"{name:22} {entry['mean']:6.2f} ms against the {entry['against']}")

# %% [markdown]
# `render` writes them as tables, in Markdown and LaTeX, and as figures. (So short a
# training teaches nothing, which these show.) The command `relaxnet experiment all
# --preset laptop` does both.

# %%
for path in rx.experiments.render(out / "smoke"):
    print(path.name)
