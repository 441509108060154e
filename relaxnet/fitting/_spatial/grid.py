"""The grid of a spatial fit: which axes hold neighbours, and which voxels take part."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from relaxnet._messages import brief


@dataclass(frozen=True)
class Grid:
    """How the axes of maps become those of a batch of grids, cropped to a box."""

    shape: tuple[int, ...]
    """The shape of the maps."""
    axes: tuple[int, ...]
    """The axes along which voxels are neighbours."""
    spacing: tuple[float, ...]
    """Distances along these axes."""
    box: tuple[slice, ...] = ()
    """The part of the grid, (batch, *space), that takes part."""

    def enter(self, maps: Tensor) -> Tensor:
        """Bring maps, with or without rows before them, to (..., batch, *space)."""
        rows = maps.ndim - len(self.shape)
        apart = [rows + k for k in range(len(self.shape)) if k not in self.axes]
        moved = maps.permute(*range(rows), *apart, *(rows + k for k in self.axes))
        flat = moved.reshape(*moved.shape[:rows], -1, *(self.shape[k] for k in self.axes))
        return flat[self._place(flat)].contiguous() if self.box else flat

    def leave(self, grids: Tensor, fill: float) -> Tensor:
        """Bring back what :meth:`enter` has moved; voxels outside the box get a value."""
        rows = grids.ndim - 1 - len(self.axes)
        apart = [k for k in range(len(self.shape)) if k not in self.axes]
        moved = [self.shape[k] for k in (*apart, *self.axes)]
        n = math.prod(self.shape[k] for k in apart)
        whole = grids.new_full((*grids.shape[:rows], n, *(self.shape[k] for k in self.axes)), fill)
        whole[self._place(whole)] = grids
        order = [(*apart, *self.axes).index(k) + rows for k in range(len(self.shape))]
        return whole.reshape(*grids.shape[:rows], *moved).permute(*range(rows), *order)

    def _place(self, grids: Tensor) -> tuple[slice, ...]:
        return (slice(None),) * (grids.ndim - len(self.box)) + self.box

    def crop(self, usable: Tensor) -> "Grid":
        """Return the grid that is cropped to the usable voxels, (batch, *space)."""
        box = [slice(None)]
        for axis in range(1, usable.ndim):
            others = [k for k in range(usable.ndim) if k != axis]
            (places,) = usable.any(dim=tuple(others)).nonzero(as_tuple=True)
            box.append(slice(int(places[0]), int(places[-1]) + 1) if len(places) else slice(0, 1))
        return Grid(self.shape, self.axes, self.spacing, tuple(box))


def plan_grid(shape: tuple[int, ...], dim: int, n_axes: int, spacing: Sequence[float] | None) -> Grid:
    """Say which axes of the maps hold neighbours.

    Parameters
    ----------
    shape
        The shape of the maps.
    dim
        The axis of the images that holds the contrasts, not negative.
    n_axes
        Number of axes of the images.
    spacing
        Distance along each axis of the maps, infinite where voxels are no neighbours.

    Returns
    -------
    Grid
        The grid, not cropped yet.

    Raises
    ------
    ValueError
        If the distances do not fit the maps, or leave no neighbours.
    """
    if spacing is None:
        batch = dim if dim < n_axes - 1 else 0
        distances = [math.inf] * batch + [1.0] * (len(shape) - batch)
    else:
        try:
            distances = [float(distance) for distance in spacing]
        except (TypeError, ValueError):
            distances = []
        if len(distances) != len(shape) or not all(distance > 0 for distance in distances):
            raise ValueError(
                f"spacing={brief(spacing)}: give a positive distance for each of the {len(shape)} axes of the maps, "
                f"inf for those along which voxels are no neighbours."
            )
    axes = tuple(k for k, distance in enumerate(distances) if math.isfinite(distance))
    if not 1 <= len(axes) <= 3:
        raise ValueError(
            f"images: maps of shape {shape} with neighbours along axes {axes}: a spatial fit needs neighbours along "
            f"one to three axes; say so with spacing."
        )
    return Grid(shape, axes, tuple(distances[k] for k in axes))
