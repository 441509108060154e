"""Files of a workflow: checked before anything is computed, and pictures drawn beside the maps."""

import logging
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relaxnet._files import check_targets
from relaxnet.errors import look_for
from relaxnet.io import picture_path, sidecar_path
from relaxnet.plots import map_figure

Log = Callable[[str], None]
_DRAWN = (".png", ".html")  # what matplotlib is needed for


def silence(message: str) -> None:
    """Log nothing."""
    del message


def picture_paths(maps: Mapping[str, Path], contrasts: Iterable[str]) -> dict[str, Path]:
    """Return where the picture of the map of each contrast goes."""
    return {name: picture_path(maps[name]) for name in contrasts}


def map_targets(maps: Mapping[str, Path], pictures: Mapping[str, Path]) -> list[Path]:
    """List all files that go with maps, the sidecar of the first one first."""
    return [*map(sidecar_path, maps.values()), *maps.values(), *pictures.values()]


def check_files(
    inputs: Iterable[Path], maps: Mapping[str, Path], pictures: Mapping[str, Path], *, overwrite: bool
) -> None:
    """Refuse what cannot be written, and miss what is needed for it, before anything is read."""
    check_targets(map_targets(maps, pictures), inputs=inputs, overwrite=overwrite)
    if any(path.suffix in _DRAWN for path in pictures.values()):
        logging.getLogger("matplotlib").setLevel(logging.ERROR)  # where it keeps its fonts is of no concern here
        look_for("matplotlib", extra="plot")  # it is imported while maps are compressed


def drawings(
    maps: Mapping[str, tuple[NDArray[Any], NDArray[Any] | None, str]], pictures: Mapping[str, Path]
) -> dict[Path, Callable[[Path], None]]:
    """Return what draws the picture of each map, by the path of the picture.

    Each map comes as slices with its standard deviation and its unit. Voxels whose standard deviation is above half of
    their value, such as noise and air, are left out: their values would fill the colour bar.
    """

    def draw(name: str, path: Path) -> None:
        values, std, unit = maps[name]
        sure = np.isfinite(values) if std is None else np.isfinite(values) & ~(std > values / 2)
        map_figure(values, name=name, ok=sure, unit=unit).savefig(path, format="png")

    return {picture: partial(draw, name) for name, picture in pictures.items()}
