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
# A map can only be judged where the truth is known. `rx.phantom` makes patients whose
# T1rho, T2 and amplitude are known, from a seed, or from any segmentation of a real
# abdomen. This page shows what they look like, what their tissues are, and what can be
# made to go wrong when they are scanned.

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
# A subject follows from the seed and its number. The anatomy is made of functions of
# the position in mm, so it is the same at every resolution. Pictures are as
# radiologists see them: the front of the body is up, the liver is at the left. The
# slices below lie 7 mm apart.

# %%
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
# Relaxation times come from the literature where it has them; what is derived or
# assumed is marked as such beside each number, in `relaxnet/phantom/_tissues.py`. They
# vary between subjects and, as a smooth texture, within a tissue. To see them without
# any borders, here is a map of one patch a tissue, painted for forty subjects: mean and
# standard deviation between them, in ms. Their livers are healthy or diseased. At the
# other field a subject keeps its disease, and its anatomy where that is its own.

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
    for patient in forty:
        for tissue in list(Tissue)[1:]:
            for name in protocol.names:
                mean = patient.truth[name][patient.labels == int(tissue)].mean()
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
# Any label map becomes patients, who share its anatomy and differ in all else. It is
# read from NIfTI in whatever orientation it was stored, with a table of two columns
# that says what its labels are; for TotalSegmentator's labels there are tables ready
# (`rx.phantom.TOTALSEGMENTATOR_MR` and `TOTALSEGMENTATOR_CT`). Here a few ellipses have
# to do. On the command line this is `relaxnet simulate --labels map.nii.gz --tissues
# tissues.tsv --out cohort/`.

# %%
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
patients = rx.phantom.label_map_cohort(labels, voxel_mm, table, n_subjects=2, seed=3)
for patient in patients:
    show(patient, [0], f"{patient.name} of the label map, liver: {patient.disease}")

# %% [markdown]
# ## What goes wrong
#
# Corruptions change the images before the noise is added; the truth stays what it was,
# so the error that each causes can be told. Here they act without noise, and each
# contrast is fitted by itself. Breathing shifts the images against one another; an
# offset of the static field tilts the spin lock, so that T1rho looks too long; fat that
# its suppression left decays more slowly than liver; and a gain that differs between
# the series contradicts the first image, which they share.

# %%
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
# Where nothing goes wrong, the fit differs from the truth at borders alone: a mixture
# does not decay with one relaxation time. Within the region of interest, outlined,
# shifts hardly bias the mean, because the liver looks the same all over; the others
# bias the whole of it. `liver_cohort(corruptions=...)` makes whole cohorts of such
# scans, to train on or to test with; `rx.phantom.corrupted` scans one subject again.
