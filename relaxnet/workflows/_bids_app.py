"""Fitting every relaxometry series of a BIDS data set: several at a time, resumable, and none stops the others."""

import signal
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from relaxnet._files import prepare_folder, write_text
from relaxnet._messages import brief
from relaxnet.errors import look_for, require
from relaxnet.fitting import JOINT_METHODS
from relaxnet.io import (
    JOINT,
    RAW_SUFFIXES,
    FoundSeries,
    describe_derivative,
    find_series,
    joint_map_paths,
    map_paths,
    picture_path,
    scan_path,
    sidecar_path,
)
from relaxnet.io._data_set import dataset_links
from relaxnet.io._sidecar import read_object
from relaxnet.workflows._drawing import Log, silence
from relaxnet.workflows._fit_joint_scan import CONTRASTS, fit_joint_scan
from relaxnet.workflows._fit_scan import fit_scan
from relaxnet.workflows._outcome import Outcome
from relaxnet.workflows._provenance import chosen, run_path

FITTED, THERE, FAILED = "fitted", "there already", "failed"
_OF_MAPS = ("method", "skip_first", "saturation", "sigma", "fill", "rates", "pictures", "report", "strict")
"""Settings that what is there must have been made with."""


@dataclass(frozen=True)
class Record:
    """What became of a series."""

    series: FoundSeries
    status: str
    """``"fitted"``, ``"there already"`` or ``"failed"``."""
    told: tuple[str, ...] = ()
    """The warnings, or what failed."""
    seconds: float = 0.0


def fit_data_set(
    data_set: str | Path,
    out: str | Path,
    *,
    subjects: Collection[str] | None = None,
    sessions: Collection[str] | None = None,
    jobs: int = 1,
    dask_scheduler: str | None = None,
    method: str = "nlls",
    skip_first: int = 0,
    saturation: float | None = None,
    sigma: float | None = None,
    fill: float | None = None,
    rates: bool = False,
    pictures: bool = False,
    report: bool = False,
    strict: bool = False,
    overwrite: bool = False,
    device: str = "auto",
    command: str | None = None,
    log: Log = silence,
) -> Outcome:
    """Fit every relaxometry series of a BIDS data set, and write a BIDS derivative.

    Run again, it fits what is missing. A series that fails is told, and does not stop the others.

    Parameters
    ----------
    data_set
        Folder of the BIDS data set.
    out
        Folder of the derivative.
    subjects, sessions
        Labels to look at, as for :func:`relaxnet.io.find_series`.
    jobs
        How many series are fitted at a time, each in a process of its own with its share of the processors.
    dask_scheduler
        Address of a scheduler of ``dask.distributed``, ``"tcp://host:8786"``, whose workers fit the series instead.
        They must see the same folders.
    method, skip_first, saturation, sigma, fill, rates, pictures, report, strict
        As for :func:`fit_scan`, for all series; a joint fit is by ``"nlls"`` unless it is ``"spatial"``.
    overwrite
        Whether series that are there are fitted anew.
    device
        Where to compute, as for :func:`fit_scan`.
    command
        The command line that asked for it, for the sidecars.
    log
        Called with lines of text that report the progress.

    Returns
    -------
    Outcome
        Its result is a list of a record of each series; its files are the tables of these, ``logs/sub-01_fits.tsv``.

    Raises
    ------
    ValueError
        If the data set has no such series, or maps of one were made with other settings and ``overwrite`` is false.
    OSError
        If a folder is missing, or not writable.
    MissingExtraError
        If there is a ``dask_scheduler``, and distributed is not installed.
    """
    root, folder = Path(data_set), Path(out)
    if jobs < 1:
        raise ValueError(f"jobs={jobs}: at least one series must be fitted at a time.")
    if folder.absolute() == root.absolute():
        raise ValueError(f"{folder}: maps must not go into the data set itself: name another folder.")
    found = find_series(root, subjects=subjects, sessions=sessions)
    if not found:
        told = f"images with the suffix {', '.join(RAW_SUFFIXES)}, or with SpinLockTime or T2PreparationTime"
        raise ValueError(f"{root}: no relaxometry series was found: {told}, in the folders anat.")
    options: dict[str, Any] = {
        "skip_first": skip_first,
        "saturation": saturation,
        "sigma": sigma,
        "fill": fill,
        "rates": rates,
        "pictures": pictures,
        "report": report,
        "strict": strict,
        "device": device,
    }
    if dask_scheduler is not None:
        look_for("distributed", extra="dask")
    if not overwrite:
        for series in found:
            _check_settings(series, folder, options | {"method": method})
    prepare_folder(folder)
    describe_derivative(folder, dataset_links(folder.absolute(), (series.files[0] for series in found)))
    fit = partial(_fit_each, folder=folder, method=method, options=options, overwrite=overwrite, command=command)
    records: list[Record] = []
    try:
        for record in _each(fit, found, jobs, dask_scheduler):
            records.append(record)
            log(f"[{len(records)}/{len(found)}] {record.series.name}: {record.status}, {record.seconds:.1f} s")
            for line in record.told:
                log(f"{'error' if record.status == FAILED else 'warning'}: {line}")
    finally:
        tables = _write_tables(folder, records)
    return _outcome(records, found, tables)


def _fit_each(
    series: Sequence[FoundSeries],
    *,
    folder: Path,
    method: str,
    options: dict[str, Any],
    overwrite: bool,
    command: str | None,
) -> list[Record]:
    """Fit some series, one after the other; whatever goes wrong with one is told in its record."""
    records = []
    for one in series:
        started = time.monotonic()
        try:
            status, told = _fit_one(one, folder, method, options, overwrite=overwrite, command=command)
        except Exception as error:  # noqa: BLE001 (nothing that happens to one series may stop the others)
            kind = "" if isinstance(error, ValueError | OSError | ImportError) else f"{type(error).__name__}: "
            status, told = FAILED, (f"{kind}{error}",)
        records.append(Record(one, status, told, time.monotonic() - started))
    return records


def _fit_one(
    series: FoundSeries, folder: Path, method: str, options: dict[str, Any], *, overwrite: bool, command: str | None
) -> tuple[str, tuple[str, ...]]:
    """Fit a series, unless its maps are there; return what became of it, and the warnings."""
    if sidecar_path(_first_map(series, folder)).exists() and not overwrite:  # it comes last: all other files are there
        return THERE, ()
    how = options | {"out": folder, "overwrite": overwrite, "command": command}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        if series.contrast == JOINT:
            fit_joint_scan(series.files, method=_method_for(series, method), **how)
        else:
            fit_scan(series.files, series.contrast, method=method, **how)
    return FITTED, tuple(dict.fromkeys(str(warning.message) for warning in caught))


def _method_for(series: FoundSeries, method: str) -> str:
    """Return the method for a series: a joint fit has fewer, and its own default."""
    return method if series.contrast != JOINT or method in JOINT_METHODS else "nlls"


def _first_map(series: FoundSeries, folder: Path) -> Path:
    path = scan_path(series.files)
    joint = series.contrast == JOINT
    maps = joint_map_paths(path, folder, CONTRASTS) if joint else map_paths(path, folder, series.contrast)
    return next(iter(maps.values()))


def _check_settings(series: FoundSeries, folder: Path, settings: Mapping[str, Any]) -> None:
    """Refuse to go on with other settings than those that the maps of a series were made with, as their record says."""
    first = _first_map(series, folder)
    if not sidecar_path(first).exists():
        return
    path = run_path(picture_path(first), JOINT if series.contrast == JOINT else None)
    before = read_object(path).get("Settings")
    if not isinstance(before, dict):
        raise ValueError(f"{path}: it does not say how {first.name} was made: use overwrite=True.")  # noqa: TRY004
    method = _method_for(series, settings["method"])
    wanted = chosen({**settings, "method": method, "skip_first": settings["skip_first"] or None})
    for key in _OF_MAPS:
        if before.get(key) != wanted.get(key):
            was, asked = (brief(repr(held[key])) if key in held else "unset" for held in (before, wanted))
            told = f"{first.name} was made with {key} {was}, not {asked}"
            raise ValueError(f"{path}: {told}: use overwrite=True, or another folder.")


def _each(
    fit: "partial[list[Record]]", found: Sequence[FoundSeries], jobs: int, dask_scheduler: str | None
) -> Iterator[Record]:
    """Fit each series, where it was asked for, and return the records as they come."""
    groups: dict[tuple[str, str | None], list[FoundSeries]] = defaultdict(list)
    for series in found:  # of a session, one after the other: they may share the name of an S0map
        groups[series.subject, series.session].append(series)
    if jobs == 1 and dask_scheduler is None:
        for group in groups.values():
            yield from fit(group)
        return
    broken = []
    with _executor(min(jobs, len(groups)), dask_scheduler) as executor:
        pending = {executor.submit(fit, group): group for group in groups.values()}
        for done in as_completed(pending):
            try:
                yield from done.result()
            except BrokenExecutor:
                broken.append(pending[done])
            except Exception as error:  # noqa: BLE001 (a worker of a cluster was lost)
                yield from _lost(pending[done], f"{type(error).__name__}: {error}")
    for group in broken:  # alone, to find the one that ends its process
        try:
            with _executor(1, None) as executor:
                yield from executor.submit(fit, group).result()
        except BrokenExecutor:
            yield from _lost(group, "its process was ended from outside: there may have been too little memory.")


def _lost(group: Sequence[FoundSeries], why: str) -> list[Record]:
    return [Record(series, FAILED, (why,)) for series in group]


@contextmanager
def _executor(jobs: int, dask_scheduler: str | None) -> Iterator[Executor]:
    """Start processes, or connect to those of a cluster; what has not begun is dropped where there is an error."""
    with ExitStack() as stack:
        if dask_scheduler is None:
            threads = max(1, torch.get_num_threads() // jobs)
            spawn = get_context("spawn")  # a process that is forked from one with threads may wait forever
            executor: Executor = ProcessPoolExecutor(jobs, spawn, initializer=_start, initargs=(threads,))
            stack.callback(executor.shutdown, cancel_futures=True)
        else:
            client = require("distributed", extra="dask").Client(dask_scheduler, timeout=30)
            executor = stack.enter_context(client).get_executor()
        yield executor


def _start(threads: int) -> None:
    """Prepare a process: an interruption ends what has not begun, and the parent sees to that."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(threads)


def _write_tables(folder: Path, records: Sequence[Record]) -> list[Path]:
    """Write what became of the series of each subject, a table a subject: several runs may share a derivative."""
    paths = []
    for subject in dict.fromkeys(record.series.subject for record in records):
        rows = [("series", "contrast", "status", "seconds", "told")]
        rows += [
            (
                r.series.name,
                r.series.contrast,
                r.status,
                f"{r.seconds:.1f}",
                " ".join(" ".join(r.told).split()) or "n/a",
            )
            for r in records
            if r.series.subject == subject
        ]
        paths.append(folder / "logs" / f"sub-{subject}_fits.tsv")
        write_text(paths[-1], "".join("\t".join(row) + "\n" for row in rows))
    return paths


def _outcome(records: Sequence[Record], found: Sequence[FoundSeries], tables: Sequence[Path]) -> Outcome:
    counts = Counter(record.status for record in records)
    failed = [record for record in records if record.status == FAILED]
    text = f"{len(found)} series: " + ", ".join(f"{counts[status]} {status}" for status in (FITTED, THERE, FAILED))
    text += "".join(f"\n  {record.series.name}: {' '.join(record.told)}" for record in failed)
    summary = {
        "series": [
            {
                "name": record.series.name,
                "subject": record.series.subject,
                "session": record.series.session,
                "contrast": record.series.contrast,
                "status": record.status,
                "told": list(record.told),
                "seconds": round(record.seconds, 2),
            }
            for record in records
        ],
        **{status.replace(" ", "_"): counts[status] for status in (FITTED, THERE, FAILED)},
    }
    return Outcome(text, {path.stem: path for path in tables}, summary, list(records))
