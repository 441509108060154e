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
# # The digital abdomen
#
# The error of a map can only be measured where the truth is known. `rx.phantom`
# simulates subjects whose T1rho, T2 and amplitude are known, from a seed or from any
# segmentation of a real abdomen. This page shows these subjects, their tissues, and how
# a scan can be corrupted.

# %%
import math
from pathlib import Path

import matplotlib.pyplot as plt
import nibabel
import numpy as np
from matplotlib.colors import ListedColormap

import relaxnet as rx
from relaxnet.phantom import Tissue

protocol = rx.protocols.LIVER_T1RHO_T2
t1rho, t2 = protocol.contrasts

# %% [markdown]
# ## Anatomy
#
# A subject is determined by the seed and its number. The anatomy consists of functions
# of the position in mm, so it is the same at every resolution. Pictures are in
# radiological convention: the front of the body is up, the liver is on the left. The
# slices below are 7 mm apart.

# %% Tissues, first image and true maps of three slices
colours = ListedColormap(plt.colormaps["tab20"](np.arange(len(Tissue)) % 20))
colours.colors[int(Tissue.AIR)] = (0, 0, 0, 1)


def show(subject, slices, title):
    """Draw tissues, first image and true maps of some slices."""
    figure, axes = plt.subplots(
        len(slices),
        4,
        figsize=(11, 1.9 * len(slices) + 1.5),
        layout="constrained",
        squeeze=False,
    )
    kinds = {
        "tissues": (subject.labels, colours, (-0.5, len(Tissue) - 0.5)),
        "first image (signal)": (subject.images[:, 0], "gray", (0, 1500)),
        "T1rho (ms)": (subject.truth["t1rho"], "viridis", (0, 120)),
        "T2 (ms)": (subject.truth["t2"], "viridis", (0, 120)),
    }
    for column, (name, (values, colour, (low, high))) in enumerate(kinds.items()):
        for axis, k in zip(axes[:, column], slices, strict=True):
            axis.set_facecolor("0.75")
            image = axis.imshow(values[k], colour, vmin=low, vmax=high)
            axis.set(xticks=[], yticks=[])
        axes[0, column].set_title(name)
        bar = figure.colorbar(
            image,
            ax=axes[:, column],
            location="bottom",
            pad=0.02,
            extend="neither" if name == "tissues" else "max",
        )
        if name == "tissues":
            names = [tissue.name.lower().replace("_", " ") for tissue in Tissue]
            bar.set_ticks(range(len(names)), labels=names, rotation=90, fontsize=6)
    figure.suptitle(title)


cohort = rx.phantom.liver_cohort(n_subjects=8, slices=3, shape=(128, 160), seed=1)
subject = cohort[2]
show(subject, range(3), f"{subject.name}, liver: {subject.disease}")

# %% [markdown]
# Vessels are dark and fat is suppressed, as in the sequence that the protocol is from.
# Each voxel averages two by two points, so borders hold mixtures. The region of
# interest, `subject.roi`, is liver parenchyma well away from borders, vessels and
# lesions.

# %%
for k in subject.labels.unique():
    count = int((subject.labels == k).sum())
    print(f"{Tissue(int(k)).name.lower():<20}{count:>7} voxels")
print(f"{'region of interest':<20}{int(subject.roi.sum()):>7} voxels")

# %% [markdown]
# ## Tissues
#
# Relaxation times are from the literature where they have been measured; values that
# are derived or assumed are marked as such, in `relaxnet/phantom/_tissues.py`. They
# vary between subjects and, as a smooth texture, within a tissue. The table shows them
# without borders: a label map with one patch for each tissue makes forty subjects, with
# healthy and diseased livers, and their mean and standard deviation are given in ms. A
# subject has the same disease at both field strengths.

# %%
patches = np.repeat(np.repeat(np.arange(len(Tissue)), 12)[None], 12, axis=0)[None]
found = {}
for field in (1.5, 3.0):
    forty = rx.phantom.label_map_cohort(
        patches,
        (5.0, 3.0, 3.0),
        {int(tissue): tissue for tissue in Tissue},
        40,
        snr=math.inf,
        field_tesla=field,
    )
    for subject in forty:
        for tissue in list(Tissue)[1:]:
            for name in protocol.names:
                mean = subject.truth[name][subject.labels == int(tissue)].mean()
                found.setdefault((tissue, field, name), []).append(float(mean))

print(f"{'':<20}{'1.5 T':^28}{'3 T':^28}")
print(f"{'':<20}" + f"{'T1rho':^14}{'T2':^14}" * 2)
for tissue in list(Tissue)[1:]:
    label = tissue.name.lower().replace("_", " ")
    cells = [
        found[tissue, field, name] for field in (1.5, 3.0) for name in protocol.names
    ]
    print(
        f"{label:<20}" + "".join(f"{np.mean(t):7.0f} ±{np.std(t):4.0f} " for t in cells)
    )

# %% [markdown]
# ## A segmentation of your own
#
# Any label map can be turned into subjects, which share its anatomy and differ in all
# else. It is read from NIfTI in any orientation, with a table of two columns that gives
# the tissue of each label; the tables for TotalSegmentator's labels are included
# (`rx.phantom.TOTALSEGMENTATOR_MR` and `TOTALSEGMENTATOR_CT`). Here, a few ellipses are
# used. On the command line this is `relaxnet simulate --labels map.nii.gz --tissues
# tissues.tsv --out cohort/`.

# %% Tissues, first image and true maps of two subjects of a drawn label map
y, x = np.mgrid[-105:106:3, -150:151:3]  # mm from the middle to the back and the left


def ellipse(across, down, width, height):
    return ((x - across) / width) ** 2 + ((y - down) / height) ** 2 < 1


drawn = np.zeros(x.shape, dtype=np.uint8)
drawn[ellipse(0, 0, 145, 102)] = 1  # fat under the skin
drawn[ellipse(0, 0, 128, 86)] = 2  # wall and what is not drawn
drawn[ellipse(-60, -5, 62, 62) | ellipse(-5, -38, 55, 28)] = 3  # liver
drawn[ellipse(88, 22, 22, 36)] = 4  # spleen
drawn[ellipse(0, 42, 22, 18)] = 5  # vertebra
drawn[ellipse(12, 14, 10, 10)] = 6  # aorta

affine = np.diag((-3.0, -3.0, 5.0, 1.0))  # to the left, to the back, to the head
nibabel.save(nibabel.Nifti1Image(drawn.T[..., None], affine), "map.nii.gz")
names = ("air", "fat", "muscle", "liver", "spleen", "bone_marrow", "blood")
rows = ["label\ttissue", *(f"{k}\t{name}" for k, name in enumerate(names))]
Path("tissues.tsv").write_text("\n".join(rows) + "\n")

labels, voxel_mm = rx.io.read_label_map("map.nii.gz")
table = rx.io.read_tissue_table("tissues.tsv")
cohort = rx.phantom.label_map_cohort(labels, voxel_mm, table, n_subjects=2, seed=3)
for subject in cohort:
    show(subject, [0], f"{subject.name} of the label map, liver: {subject.disease}")

# %% [markdown]
# ## Corrupted scans
#
# Corruptions change the images before the noise is added. The truth stays the same, so
# the error that each corruption causes can be measured. Here they act without noise,
# and each contrast is fitted separately. Breathing shifts the images relative to one
# another. An offset of the static field tilts the spin lock, so that T1rho appears too
# long. Fat that was not suppressed decays more slowly than liver. A gain that differs
# between the series contradicts the first image, which they share.

# %% Error of fitted T1rho and T2 for four corruptions of the scan
wrong = {
    "nothing": [],
    "breathing": [rx.phantom.Breathing((6.0, 2.0))],
    "field off by 100 Hz": [rx.phantom.SpinLockError(b1=0.9, b0_hz=100.0)],
    "10 % of fat left": [rx.phantom.ResidualFat(0.1)],
    "T2 series 5 % brighter": [rx.phantom.Gain({"t2": 1.05})],
}
figure, axes = plt.subplots(
    2, len(wrong), figsize=(12, 3.9), layout="constrained", squeeze=False
)
print(f"{'bias in the liver (ms)':<26} T1rho     T2")
for column, (title, corruptions) in enumerate(wrong.items()):
    scanned = rx.phantom.liver_cohort(
        3, 1, (128, 160), math.inf, seed=1, corruptions=corruptions
    )[2]
    biases = []
    for axis, contrast in zip(axes[:, column], protocol.contrasts, strict=True):
        channels = protocol.images_of(contrast.name)
        found = rx.fit(scanned.images[:, channels], contrast).maps[contrast.name]
        truth = scanned.truth[contrast.name]
        biases.append(rx.metrics.bias(found, truth, scanned.roi))
        axis.set_facecolor("0.75")
        image = axis.imshow((found - truth)[0], "RdBu_r", vmin=-15, vmax=15)
        axis.contour(scanned.roi[0], levels=[0.5], colors="black", linewidths=0.5)
        axis.set(xticks=[], yticks=[])
    axes[0, column].set_title(title, fontsize=9)
    print(f"{title:<26}{biases[0]:6.2f} {biases[1]:6.2f}")
for row, name in zip(axes, ("T1rho", "T2"), strict=True):
    row[0].set_ylabel(name)
_ = figure.colorbar(image, ax=axes, label="fit - truth (ms)", extend="both")

# %% [markdown]
# Without corruptions, the fit differs from the truth only at borders, because a mixture
# of tissues does not decay with one relaxation time. Within the outlined region of
# interest, shifts hardly bias the mean, because the liver is much the same everywhere;
# the other corruptions bias all of it. `liver_cohort(corruptions=...)` simulates whole
# cohorts of such scans for training or testing; `rx.phantom.corrupted` scans one
# subject again.
