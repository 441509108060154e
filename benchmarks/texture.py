"""Compare the short-range structure of digital livers with that of a real one: ``make texture``.

Prints a table, writes ``results/texture.json`` and ``results/texture.md``, and draws ``results/texture.png``. The real
abdomen is an MR image of the TotalSegmentator data set (CC BY 4.0), among the data of the tests. It has no maps, so
images are compared: the covariance of neighbouring voxels, which white noise does not change, in voxels of 3 mm.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from einops import rearrange
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.ndimage import binary_closing, binary_erosion, gaussian_filter

import relaxnet as rx
from relaxnet._files import replacing, write_text
from relaxnet.phantom import Disease, Tissue

RESULTS = Path(__file__).parent / "results" / "texture.json"
REAL = Path(os.environ.get("RELAXNET_TEST_DATA", "../shared/data"), "totalseg_abdomen_mr.npz")

VOXEL_MM = 3.0
SHAPE = (96, 128)
SUBJECTS = range(24)
SEED = 1
IMAGE = 2  # spin lock of 30 ms: about as much noise as in the real image
EDGE = 2  # voxels of the edge of the liver that are left out
SHADE = 8.0  # voxels; slower variation than that is due to coils
LAGS = (1, 2, 3, 4)
PARTS = ("liver with its vessels", "parenchyma alone")
TEXTURES = {"smooth": None, "texture=(0.06, 5)": (0.06, 5), "texture=(0.12, 5)": (0.12, 5)}
REAL_SLICE = 13
Pictures = NDArray[np.floating[Any]]
Region = NDArray[np.bool_]


def main() -> None:
    """Measure, and write the outcome."""
    if not REAL.exists():
        sys.exit(f"{REAL} is not there: RELAXNET_TEST_DATA names the folder of the data.")
    outcome, shown = {}, {}
    for name, texture in TEXTURES.items():
        cohort = rx.phantom.liver_cohort(len(SUBJECTS), 3, SHAPE, seed=SEED, texture=texture, pixel_mm=VOXEL_MM)
        subjects = [subject for subject in cohort if subject.disease is Disease.HEALTHY]
        each = [measure(s.images[:, IMAGE].numpy(), np.stack([*map(liver, s.labels.numpy())])) for s in subjects]
        outcome[name] = {part: np.mean([found[part] for found in each], axis=0) for part in PARTS}
        shown[name] = subjects[0].images[1, IMAGE].numpy()
    with np.load(REAL) as data:
        image, labels = (rearrange(data[key], "x y slice -> slice y x") for key in ("image", "labels"))
    outcome["real"], shown["real"] = measure(image.astype(float), labels == 5), image[REAL_SLICE]
    outcome = {
        name: {part: [float(f"{v:.3g}") for v in found[part]] for part in PARTS} for name, found in outcome.items()
    }
    write_text(RESULTS, json.dumps(outcome, indent=2) + "\n")
    write_text(RESULTS.with_suffix(".md"), table(outcome) + "\n")
    print(table(outcome))
    with replacing(RESULTS.with_suffix(".png")) as temporary:
        draw(shown, outcome).savefig(temporary, format="png", dpi=80)


def liver(labels: NDArray[np.uint8]) -> Region:
    """Return the liver with its vessels, which the labels of the real one include."""
    parenchyma = labels == Tissue.LIVER
    organ: Region = binary_closing(parenchyma, iterations=4) & (parenchyma | (labels == Tissue.BLOOD))
    return organ


def measure(images: Pictures, region: Region) -> dict[str, Pictures]:
    """Measure the structure of slices in a region, with vessels and without them."""
    inside = np.stack([binary_erosion(one, iterations=EDGE) for one in region])
    size = (0, SHADE, SHADE)
    shade = gaussian_filter(images * inside, size) / np.maximum(gaussian_filter(inside.astype(float), size), 1e-6)
    relative = np.where(inside, images / np.where(inside, shade, 1) - 1, np.nan)
    middle = np.nanmedian(relative)
    spread = 1.4826 * np.nanmedian(np.abs(relative - middle))
    parenchyma = np.where(np.abs(relative - middle) < 2 * spread, relative, np.nan)
    return dict(zip(PARTS, map(_covariances, (relative, parenchyma)), strict=True))


def _covariances(relative: Pictures) -> Pictures:
    """Compute the variance, and the covariance of voxels at each distance along rows and columns."""
    v = relative - np.nanmean(relative)
    found = [np.nanmean(v**2)]
    for lag in LAGS:
        pairs = [(v[:, lag:] * v[:, :-lag]).ravel(), (v[:, :, lag:] * v[:, :, :-lag]).ravel()]
        found.append(np.nanmean(np.concatenate(pairs)))
    return np.array(found)


def table(outcome: dict[str, dict[str, Any]]) -> str:
    """Write a Markdown table: square roots of covariances of neighbours, and the correlations."""
    distances = ", ".join(f"{lag * VOXEL_MM:g}" for lag in LAGS)
    head = f"sd without noise; correlation at {distances} mm"
    lines = [f"| {head} | {' | '.join(PARTS)} |", "| --- | --- | --- |"]
    for name, found in outcome.items():
        cells = []
        for part in PARTS:
            variance, *rest = found[part]
            correlations = ", ".join(f"{value / variance:.2f}" for value in rest)
            cells.append(f"{100 * max(rest[0], 0) ** 0.5:.1f} %; {correlations}")
        lines.append(f"| {name} | {cells[0]} | {cells[1]} |")
    return "\n".join(lines)


def draw(shown: dict[str, Pictures], outcome: dict[str, dict[str, Any]]) -> Figure:
    """Draw a slice of each, and the covariance of voxels against their distance."""
    figure = Figure(figsize=(11, 5.4), layout="constrained")
    axes = figure.subplots(2, 8, height_ratios=(1, 1.3))
    grid = axes[0, 0].get_gridspec()
    for axis in axes.ravel():
        axis.remove()
    for k, (name, picture) in enumerate(shown.items()):
        axis = figure.add_subplot(grid[0, 2 * k : 2 * k + 2])
        axis.imshow(picture, "gray", vmin=0, vmax=np.percentile(picture, 98), extent=_extent(picture))
        axis.set(title=name, xlabel="mm", xticks=(0, 100, 200, 300), yticks=(0, 100, 200))
    for k, part in enumerate(PARTS):
        axis = figure.add_subplot(grid[1, 4 * k : 4 * k + 4])
        for (name, found), style in zip(outcome.items(), ("o:", "o-", "o--", "ks-"), strict=True):
            axis.plot(np.multiply(LAGS, VOXEL_MM), 1e4 * np.array(found[part][1:]), style, label=name)
        axis.set(title=part, xlabel="distance of voxels (mm)", ylabel="covariance (% of the mean)²")
        axis.grid(alpha=0.3)
    axis.legend(frameon=False)
    return figure


def _extent(picture: Pictures) -> tuple[float, float, float, float]:
    height, width = picture.shape
    return 0, width * VOXEL_MM, height * VOXEL_MM, 0


if __name__ == "__main__":
    main()
