"""Files of a workflow: checked before anything is computed, and pictures drawn beside the maps."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relaxnet._files import check_targets, replacing
from relaxnet.errors import require
from relaxnet.io import sidecar_path
from relaxnet.plots import map_figure

Log = Callable[[str], None]


def silence(message: str) -> None:
    """Log nothing."""
    del message


def picture_paths(maps: Mapping[str, Path], contrasts: Iterable[str]) -> dict[str, Path]:
    """Place a picture beside the map of each contrast."""
    return {name: sidecar_path(maps[name]).with_suffix(".png") for name in contrasts}


def check_files(
    inputs: Iterable[Path], maps: Mapping[str, Path], pictures: Mapping[str, Path], *, overwrite: bool
) -> None:
    """Refuse what cannot be written, and miss what is needed for it, before anything is read."""
    targets = [*maps.values(), *map(sidecar_path, maps.values()), *pictures.values()]
    check_targets(targets, inputs=inputs, overwrite=overwrite)
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # where it keeps its fonts is of no concern here
    require("matplotlib.figure", extra="plot")


@contextmanager
def drawn(
    maps: Mapping[str, tuple[NDArray[Any], NDArray[Any] | None, str]], pictures: Mapping[str, Path]
) -> Iterator[None]:
    """Draw maps; the pictures move to their places if the block, which writes the maps, succeeds.

    Each map comes as slices with its standard deviation and its unit. What it is not sure of, such as noise and air, is
    left out: its values would fill the colour bar.
    """
    with ExitStack() as stack:
        for name, picture in pictures.items():
            values, std, unit = maps[name]
            sure = np.isfinite(values) if std is None else np.isfinite(values) & ~(std > values / 2)
            figure = map_figure(values, name=name, ok=sure, unit=unit)
            figure.savefig(stack.enter_context(replacing(picture)), format="png")
        yield
