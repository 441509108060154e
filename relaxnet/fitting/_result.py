"""What a fit returns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, cast, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from relaxnet._display import Displayed, Section
from relaxnet._images import DataArray, NiftiImage, array_of
from relaxnet.errors import require
from relaxnet.fitting import _storage
from relaxnet.fitting._like import changed
from relaxnet.fitting._regions import region_rows
from relaxnet.fitting._status import FitStatus

if TYPE_CHECKING:
    import pandas  # noqa: ICN001 (the annotation is read under this name)
    import xarray
    from matplotlib.figure import Figure


@runtime_checkable
class LazyArray(Protocol):
    """What is used of a dask array, for which dask need not be installed."""

    dask: Any
    chunks: Any
    shape: Any


ArrayT = TypeVar("ArrayT", bound=NDArray[Any] | Tensor | LazyArray | DataArray | NiftiImage)


@dataclass(frozen=True, repr=False)
class FitResult(Displayed, Generic[ArrayT]):
    """Maps of a voxel-wise fit, with their errors and an account of every voxel.

    All maps have the shape of the signal without its time axis, and its dtype and device; they are NumPy arrays if the
    signal was one or an image of nibabel, and data arrays of xarray if it was one. Voxels whose :attr:`status` is
    neither ``CONVERGED`` nor ``AT_BOUND`` are NaN in all of them. Of a fit with ``maps_only``, all but :attr:`maps`,
    :attr:`status` and :attr:`n_used` is NaN throughout.
    """

    maps: dict[str, ArrayT]
    """Fitted parameters: ``"m0"`` in signal units; relaxation times in ms, or what else the model has, under ``"t"`` or
    their contrast's name; the ``"offset"`` of a model that has one."""
    std: dict[str, ArrayT]
    """Standard error of each map. NaN at a bound, and where as many samples as parameters leave none to judge by."""
    covariances: dict[tuple[str, str], ArrayT]
    """Covariance of each pair of different parameters."""
    rmse: ArrayT
    """Root mean squared residual of the used samples, in signal units."""
    r2: ArrayT
    """Coefficient of determination; NaN for a signal without any variation."""
    n_used: ArrayT
    """How many samples of the voxel were used."""
    status: ArrayT
    """How the fit of the voxel ended: a :class:`FitStatus`, as an unsigned 8-bit integer."""
    units: dict[str, str]
    """Unit of each map: ``"signal"`` for those in the units of the images."""
    image: Any = field(default=None, kw_only=True, repr=False, compare=False)
    """The image of nibabel that was fitted, if it was one: the grid of :meth:`to_nifti`."""

    @property
    def ok(self) -> ArrayT:
        """Where the fit converged inside the bounds."""
        status: Any = self.status
        return cast("ArrayT", status == FitStatus.CONVERGED)

    @property
    def cov(self) -> ArrayT:
        """Covariance matrix of the parameters, (parameter, parameter, ...), in the order of :attr:`maps`."""
        names = list(self.maps)
        entries: Any = {(name, name): cast("Any", self.std[name]) ** 2 for name in names}
        for pair in combinations(names, 2):
            entries[pair] = entries[pair[::-1]] = self.covariances[pair]
        rows = [[entries[a, b] for b in names] for a in names]
        if isinstance(self.status, Tensor):
            return cast("ArrayT", torch.stack([torch.stack(row) for row in rows]))
        return cast("ArrayT", np.stack([np.stack(row) for row in rows]))  # of dask arrays, too

    def numpy(self) -> "FitResult[NDArray[Any]]":
        """Bring everything into arrays of NumPy, from whatever device it is on.

        Returns
        -------
        FitResult
            The same result.

        Examples
        --------
        >>> result = rx.fit(torch.tensor([[100.0, 78.0, 47.0, 29.0]]), (0, 10, 30, 50))
        >>> type(result.numpy().maps["t"]).__name__
        'ndarray'
        """
        return FitResult(**changed(self, to_numpy), units=self.units, image=self.image)

    def summary(self) -> str:
        """Summarise the maps and the counts of each status in a short table.

        Returns
        -------
        str
            A line a status that occurs, a line a map with median and quartiles of its converged voxels.

        Examples
        --------
        >>> signal = 100 * np.exp(-np.array([0, 10, 30, 50]) / np.array([[40.0], [50.0]]))
        >>> print(rx.fit(signal, (0, 10, 30, 50)).summary())
        2 voxels
          CONVERGED                2  100.0 %
        converged voxels         25 %    median      75 %
          m0                      100       100       100
          t                      42.5        45      47.5
        """
        statuses, maps = self._sections()
        lines = [statuses.title, *(f"  {name:<16}{count:>10}{part:>9}" for name, count, part in statuses.rows)]
        lines += [f"{maps.title:<20}" + "".join(f"{title:>10}" for title in maps.head[:3])[1:]]
        lines += [f"  {row[0]:<18}" + "".join(f"{quartile:>10}" for quartile in row[1:4])[1:] for row in maps.rows]
        return "\n".join(lines)

    def _sections(self) -> tuple[Section, Section]:
        """Count the statuses, and compute the quartiles of each map."""
        status = to_numpy(self.status)
        counts = {member: int((status == member).sum()) for member in FitStatus}
        statuses = [(s.name, n, f"{100 * n / status.size:.1f} %") for s, n in counts.items() if n]
        maps = []
        for name, values in self.maps.items():
            good = to_numpy(values)[status == FitStatus.CONVERGED]
            quartiles = np.percentile(good, (25, 50, 75)) if good.size else np.full(3, np.nan)
            maps.append((name, *(f"{quartile:.4g}" for quartile in quartiles), self.units[name]))
        head = ("25 %", "median", "75 %", "unit")
        return Section(f"{status.size} voxels", statuses), Section("converged voxels", maps, head)

    def plot(self, name: str | None = None, *, title: str | None = None) -> "Figure":
        """Draw a map.

        Parameters
        ----------
        name
            Name of the map; by default the first after ``"m0"``.
        title
            Title of the figure; by default the name.

        Returns
        -------
        matplotlib.figure.Figure
            The figure: an image, or a tile for each slice.

        Raises
        ------
        ValueError
            If there is no such map, or the maps are no images.
        MissingExtraError
            If matplotlib is not installed.

        Examples
        --------
        >>> signal = 100 * np.exp(-np.array([0, 10, 30, 50]) / np.full((8, 6, 1), 42.0))
        >>> rx.fit(signal, rx.Contrast("t2", (0, 10, 30, 50)), dim=-1).plot().get_suptitle()
        'T2 map'
        """
        chosen = next((known for known in self.maps if known != "m0"), "m0") if name is None else name
        if chosen not in self.maps:
            raise ValueError(f"name={name!r}: the maps are {', '.join(self.maps)}.")
        draw = require("relaxnet.plots", extra="plot").map_figure
        return cast("Figure", draw(to_numpy(self.maps[chosen]), name=chosen, unit=self.units[chosen], title=title))

    def regions(self, labels: Any = None, *, names: Mapping[int, str] | None = None) -> list[dict[str, Any]]:
        """Tabulate the maps by region.

        Parameters
        ----------
        labels
            A whole number for each voxel, 0 for the background, or a binary region; all voxels by default.
        names
            Names of labels, for a column of their own.

        Returns
        -------
        list of dict
            A row for each label and map. ``mean``, ``sd``, ``median``, ``q25``, ``q75`` and ``iqr`` are those of
            the converged voxels, in the ``unit`` of the map. Beside them is how the fits of the ``n_voxels`` voxels
            ended: ``n_converged``, ``n_at_bound``, ``n_failed`` (NaN), and ``n_masked`` (outside the mask).

        Raises
        ------
        ValueError
            If labels have another shape, hold other values, or nothing but background.

        Examples
        --------
        >>> signal = 100 * np.exp(-np.array([0, 10, 30, 50]) / np.array([[40.0], [44.0], [50.0]]))
        >>> signal[1] = np.nan
        >>> row = rx.fit(signal, (0, 10, 30, 50)).regions([7, 7, 0])[1]
        >>> row["label"], row["map"], round(row["mean"], 3), row["n_converged"], row["n_failed"]
        (7, 't', 40.0, 1, 1)
        """
        maps = {name: to_numpy(values) for name, values in self.maps.items()}
        return region_rows(maps, self.units, to_numpy(self.status), None if labels is None else to_numpy(labels), names)

    def to_dataframe(self, labels: Any = None, *, names: Mapping[int, str] | None = None) -> "pandas.DataFrame":
        """Tabulate the maps by region in a pandas data frame.

        Parameters
        ----------
        labels, names
            As for :meth:`regions`.

        Returns
        -------
        pandas.DataFrame
            The rows of :meth:`regions`.

        Raises
        ------
        MissingExtraError
            If pandas is not installed.
        ValueError
            If labels have another shape, hold other values, or nothing but background.

        Examples
        --------
        >>> signal = 100 * np.exp(-np.array([0, 10, 30, 50]) / np.array([[40.0], [44.0], [50.0]]))
        >>> table = rx.fit(signal, (0, 10, 30, 50)).to_dataframe([1, 1, 2])
        >>> table[["label", "map", "n_converged"]].values.tolist()
        [[1, 'm0', 2], [1, 't', 2], [2, 'm0', 1], [2, 't', 1]]
        """
        package = require("pandas", extra="pandas")
        return cast("pandas.DataFrame", package.DataFrame(self.regions(labels, names=names)))

    def to_dataset(self) -> "xarray.Dataset":
        """Gather everything in an xarray dataset.

        Returns
        -------
        xarray.Dataset
            Maps under their names, standard errors as ``t_std``, and ``rmse``, ``r2``, ``n_used`` and ``status``, with
            their units, over dimensions ``dim_0``, ``dim_1``, ... or those of the fitted data array. If a dask array
            was fitted, the data set is lazy: its ``to_zarr`` fits and stores block by block.

        Raises
        ------
        MissingExtraError
            If xarray is not installed.

        Examples
        --------
        >>> signal = 100 * np.exp(-np.array([0, 10, 30, 50]) / np.array([[40.0], [50.0]]))
        >>> dataset = rx.fit(signal, (0, 10, 30, 50)).to_dataset()
        >>> dataset.t.attrs["units"], dataset.t.round(3).values.tolist()
        ('ms', [40.0, 50.0])
        """
        package = require("xarray", extra="xarray")
        dims = tuple(f"dim_{k}" for k in range(len(self.status.shape)))
        meaning = {"flag_values": [int(s) for s in FitStatus], "flag_meanings": " ".join(s.name for s in FitStatus)}
        rows: dict[str, tuple[Any, dict[str, Any]]] = {}
        for name, unit in self.units.items():
            rows |= {name: (self.maps[name], {"units": unit}), f"{name}_std": (self.std[name], {"units": unit})}
        rows |= {"rmse": (self.rmse, {"units": "signal"}), "r2": (self.r2, {"units": "1"})}
        rows |= {"n_used": (self.n_used, {"units": "1"}), "status": (self.status, meaning)}
        variables = {
            name: cast("Any", values).assign_attrs(attributes)
            if isinstance(values, DataArray)
            else (dims, values if isinstance(values, LazyArray) else to_numpy(values), attributes)
            for name, (values, attributes) in rows.items()
        }
        return cast("xarray.Dataset", package.Dataset(variables))

    def to_nifti(
        self, path: str | Path, *, like: Any = None, fill: float | None = None, overwrite: bool = False
    ) -> dict[str, Path]:
        """Write the maps as NIfTI files on the grid of an image.

        Parameters
        ----------
        path
            Folder of the files, which are named after the image; or a name ending in ``.nii.gz`` to name them after.
        like
            The fitted image: a :class:`~relaxnet.io.Scan`, an image of nibabel, or the path of one. By default the
            image of nibabel that was fitted.
        fill
            Value of voxels without a result, in place of NaN.
        overwrite
            Whether existing files may be replaced.

        Returns
        -------
        dict
            Paths by the names of :meth:`to_dataset`. Relaxation times are in seconds, as in BIDS; the JSON file beside
            each map names its unit.

        Raises
        ------
        MissingExtraError
            If nibabel is not installed.
        ValueError
            If the image has another grid, or none, or what was fitted was no image and ``like`` is missing.
        OSError
            If a file exists and ``overwrite`` is false, or a file cannot be written.

        Examples
        --------
        >>> import nibabel, tempfile
        >>> images = 100 * np.exp(-np.array([10, 20, 30, 50]) / np.full((4, 3, 2, 1), 42.0))
        >>> result = rx.fit(images, rx.Contrast("t2", (10, 20, 30, 50)), dim=-1)
        >>> image = nibabel.Nifti1Image(images, np.eye(4))
        >>> paths = result.to_nifti(Path(tempfile.mkdtemp(), "leg.nii.gz"), like=image)
        >>> paths["t2"].name, paths["t2_std"].name
        ('leg_T2map.nii.gz', 'leg_desc-std_T2map.nii.gz')
        """
        like = self.image if like is None else like
        if like is None:
            raise ValueError("like is needed: an array was fitted, which has no position in space.")
        # Files are the business of a floor above, which only those who have nibabel need.
        write = require("relaxnet.io._write_result", extra="io").write_result
        return cast("dict[str, Path]", write(self, path, like=like, fill=fill, overwrite=overwrite))

    def save(self, path: str | Path) -> None:
        """Write the result to a file, from which :meth:`load` makes the same result again.

        Parameters
        ----------
        path
            The file, of NumPy's ``.npz`` format without pickles. It is replaced in one step if it exists.

        Raises
        ------
        OSError
            If the file cannot be written.

        Examples
        --------
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "fit.npz")
        >>> rx.fit(np.array([100.0, 82.0, 51.0, 33.0]), (0, 10, 30, 50)).save(path)
        >>> round(float(rx.fitting.FitResult.load(path).maps["t"]), 1)
        44.9
        """
        _storage.write({name: held for name, held in vars(self.numpy()).items() if name != "image"}, Path(path))

    @staticmethod
    def load(path: str | Path) -> "FitResult[NDArray[Any]]":
        """Read a result that :meth:`save` wrote.

        Parameters
        ----------
        path
            The file.

        Returns
        -------
        FitResult
            The result, with NumPy arrays.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If it holds no result.
        """
        return FitResult(**_storage.read(Path(path)))

    def _repr_html_(self) -> str:
        lazy = isinstance(array_of(self.status), LazyArray)  # to be shown must not mean to be computed
        return escape(repr(self)) if lazy else super()._repr_html_()

    def __repr__(self) -> str:
        what = f"{type(self).__name__} of {tuple(self.status.shape)} voxels, maps {', '.join(self.maps)}"
        return f"<{what}; print(result.summary()) tells more>"


def to_numpy(values: Any) -> NDArray[Any]:
    """Convert a tensor on any device, an image, or anything array-like, to an array."""
    values = array_of(values)
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        values = (values.float() if values.dtype == torch.bfloat16 else values).numpy()
    return np.asarray(values)
