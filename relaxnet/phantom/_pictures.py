"""Pictures whose statistics resemble those of natural images: dead leaves, and photographs."""

import numpy as np
from scipy.ndimage import gaussian_filter, zoom

from relaxnet.errors import require
from relaxnet.phantom._anatomy.random_fields import Array

_MOST_LEAVES = 4000
_SMALLEST = (2.0, 10.0)  # radius of the smallest leaf in pixels: pictures differ in how fine they are
_PHOTOGRAPHS = ("astronaut", "brick", "camera", "chelsea", "coffee", "coins", "grass", "gravel", "moon", "rocket")


def dead_leaves(rng: np.random.Generator, shape: tuple[int, int], n: int) -> Array:
    """Draw pictures of leaves that hide one another, of all sizes, each with a value, a slope and a texture.

    Parameters
    ----------
    rng
        Source of random numbers.
    shape
        Height and width.
    n
        Number of pictures. Half of the time they show the same leaves, in other values.

    Returns
    -------
    array
        Pictures (n, height, width), from 0 to 1.

    References
    ----------
    Lee, Mumford and Huang, *Occlusion models for natural images*, International Journal of Computer Vision 41:35
    (2001).
    """
    alike = rng.uniform() < 0.5
    leaves = _leaves(rng, shape)
    pictures = []
    for _ in range(n):
        leaf, distance = leaves if alike else _leaves(rng, shape)
        count = leaf.max() + 1
        slope, rough = rng.uniform(-0.2, 0.2, (2, count)), np.abs(rng.normal(0, 0.06, count))
        of_leaf = rng.uniform(0, 1, count)[leaf] + (slope[:, leaf] * distance).sum(0)
        pictures.append(of_leaf + rough[leaf] * _texture(rng, shape))
    # What is beyond the range is reflected, so that no value is frequent.
    reflected: Array = np.clip(1 - np.abs(1 - np.abs(np.stack(pictures))), 0, 1)
    return reflected


def _leaves(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[np.ndarray, Array]:
    """Return the number of the leaf at each pixel, and where in its leaf the pixel is, from about -1 to 1."""
    leaf, distance = np.full(shape, -1), np.zeros((2, *shape))
    smallest, largest = np.exp(rng.uniform(*np.log(_SMALLEST))), max(*shape, 4 * _SMALLEST[1]) / 2
    for number in range(_MOST_LEAVES):
        # Radii follow r^-3: leaves of each size cover the same share of the picture, as things do in natural images.
        radius = smallest / np.sqrt(1 - rng.uniform() * (1 - (smallest / largest) ** 2))
        middle = rng.uniform(-0.1, 1.1, 2) * shape
        angle, flat = rng.uniform(0, np.pi), rng.uniform(0.4, 1)
        top, left = (max(int(at - radius), 0) for at in middle)
        bottom, right = (min(int(at + radius) + 2, side) for at, side in zip(middle, shape, strict=True))
        if top >= bottom or left >= right:
            continue
        y, x = np.mgrid[top:bottom, left:right]
        y, x = (y - middle[0]) / radius, (x - middle[1]) / radius
        u, v = np.cos(angle) * y + np.sin(angle) * x, (np.cos(angle) * x - np.sin(angle) * y) / flat
        part = leaf[top:bottom, left:right]
        free = (u**2 + v**2 < 1) & (part < 0)
        part[free] = number
        distance[0, top:bottom, left:right][free], distance[1, top:bottom, left:right][free] = u[free], v[free]
        if number % 50 == 0 and (leaf >= 0).all():
            break
    return np.where(leaf < 0, 0, leaf), distance


def _texture(rng: np.random.Generator, shape: tuple[int, int]) -> Array:
    """Draw noise that is smooth on a scale between half a pixel and four, of standard deviation 1."""
    smooth: Array = gaussian_filter(rng.standard_normal(shape), np.exp(rng.uniform(np.log(0.5), np.log(4))))
    smooth /= smooth.std()
    return smooth


def photographs(rng: np.random.Generator, shape: tuple[int, int], n: int) -> Array:
    """Cut pictures out of the photographs that scikit-image brings.

    Parameters
    ----------
    rng
        Source of random numbers.
    shape
        Height and width.
    n
        Number of pictures. Half of the time they show the same part of a photograph, in other mixtures of its colours.

    Returns
    -------
    array
        Pictures (n, height, width), from 0 to 1.

    Raises
    ------
    MissingExtraError
        If scikit-image is not installed.
    """
    alike = rng.uniform() < 0.5
    part = _part(rng, shape)
    pictures = []
    for _ in range(n):
        colours = part if alike else _part(rng, shape)
        picture = colours @ rng.dirichlet(np.ones(colours.shape[-1]))
        picture = (picture - picture.min()) / max(np.ptp(picture), 1)
        pictures.append(1 - picture if rng.uniform() < 0.5 else picture)
    return np.stack(pictures)


def _part(rng: np.random.Generator, shape: tuple[int, int]) -> Array:
    """Cut out a random part of a random photograph, turned at random; (height, width, colour)."""
    data = require("skimage.data", extra="experiments")
    photograph = np.rot90(getattr(data, _PHOTOGRAPHS[rng.integers(len(_PHOTOGRAPHS))])(), int(rng.integers(4)))
    photograph = photograph[:, :: rng.choice((1, -1))].reshape(*photograph.shape[:2], -1).astype(float)
    most = min(side / own for side, own in zip(photograph.shape, shape, strict=False))
    step = np.exp(rng.uniform(0, np.log(max(most, 1))))
    sides = [min(round(step * own), side) for own, side in zip(shape, photograph.shape, strict=False)]
    top, left = (rng.integers(side - own + 1) for own, side in zip(sides, photograph.shape, strict=False))
    cut = gaussian_filter(photograph[top : top + sides[0], left : left + sides[1]], (step / 3, step / 3, 0))
    factors = [own / side for own, side in zip(shape, sides, strict=True)]
    part: Array = zoom(cut, (*factors, 1), order=1, grid_mode=True, mode="nearest")
    return part
