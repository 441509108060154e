"""Mapping one file by a network: everything that ``relaxnet predict`` does besides reading its options and printing."""

import logging
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from relaxnet._errors import require
from relaxnet._files import check_targets, prepare_folder, replacing
from relaxnet.io import as_slices, predicted_paths, read_nifti, read_protocol, sidecar_path, write_predicted
from relaxnet.io._sidecar import read_object
from relaxnet.plots import map_figure
from relaxnet.protocol import Protocol
from relaxnet.training import Trained, load

NETWORK = "network.safetensors"
"""Name of a trained network in the folder of its run."""


@dataclass(frozen=True)
class Outcome:
    """What became of a scan."""

    maps_ms: dict[str, Tensor]
    """Maps (slice, row, column) as the network answers them."""
    files: dict[str, Path]
    """The maps under their names, and a ``"<name>_picture"`` of each contrast."""


def predict_scan(
    run: Path,
    scan_path: Path,
    *,
    folder: Path | None = None,
    inputs: str | None = None,
    overwrite: bool = False,
    command: str | None = None,
    log: Callable[[str], None],
) -> Outcome:
    """Map a scan and write its maps and pictures. All that can be refused is refused before the computation.

    Parameters
    ----------
    run
        Folder of a training, or a file of a network.
    scan_path
        The scan: all images of the protocol, or those alone that the network sees, in their order.
    folder
        Where the maps go; by default, beside the scan.
    inputs
        Which images a network of any input set may see.
    overwrite
        Whether existing files may be replaced.
    command
        The command line that asked for it, for the sidecars.
    log
        Hears what goes on.

    Returns
    -------
    Outcome
        The maps and the files.

    Raises
    ------
    ValueError
        If the scan has another number of images, or was acquired with another protocol.
    OSError
        If a file is missing, or one exists and ``overwrite`` is false.
    """
    folder = scan_path.parent if folder is None else folder
    trained = load(run / NETWORK if run.is_dir() else run)
    protocol = trained.net.protocol
    names = (
        *protocol.names,
        *(("m0",) if trained.net.amplitude else ()),
        *(f"{n}_std" for n in trained.calibration.factors),
    )
    maps = predicted_paths(names, scan_path, folder)
    pictures = {f"{name}_picture": sidecar_path(maps[name]).with_suffix(".png") for name in protocol.names}
    targets = [*maps.values(), *map(sidecar_path, maps.values()), *pictures.values()]
    check_targets(targets, inputs=[scan_path, sidecar_path(scan_path), run], overwrite=overwrite)
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # where it keeps its fonts is of no concern here
    require("matplotlib.figure", extra="plot")
    scan = read_nifti(scan_path)
    _check(scan_path, scan.data.shape[3], trained)
    acquired = _acquired(scan_path, scan.data.shape[3], protocol)
    prepare_folder(folder)
    source = sidecar_path(scan_path) if acquired else "taken on trust"
    log(f"{scan_path}: {' x '.join(map(str, scan.data.shape))} voxels, {_times(protocol)} ({source})")
    answer = trained.predict(as_slices(scan), protocol=acquired, seen=inputs)
    log(f"writing maps to {folder}")
    with ExitStack() as stack:
        for name in protocol.names:
            t = answer[name]
            # What the network is not sure of, such as air, would fill the colour bar.
            known = torch.isfinite(t) & ~(answer.get(f"{name}_std", torch.zeros(())) > t / 2)
            figure = map_figure(t.numpy(), name=name, ok=known.numpy())
            figure.savefig(stack.enter_context(replacing(pictures[f"{name}_picture"])), format="png")
        write_predicted(
            {name: answer[name] for name in names},
            scan,
            folder,
            algorithm=f"Neural network of {len(trained.net.input_channels)} images",
            command=command,
            overwrite=overwrite,
        )
    return Outcome(answer, maps | pictures)


def _check(path: Path, n: int, trained: Trained) -> None:
    protocol, own = trained.net.protocol, trained.net.input_channels
    if n not in (protocol.n_images, len(own)):
        needed = f"all {protocol.n_images} images ({_times(protocol)})"
        if len(own) < protocol.n_images:
            needed += f", or its inputs alone, numbers {', '.join(map(str, own))} of these, counted from 0"
        raise ValueError(f"{path}: it has {n} volumes, and this network takes {needed}.")


def _acquired(scan: Path, n: int, learnt: Protocol) -> Protocol | None:
    """Tell what a scan was acquired with, if its sidecar describes a protocol of all its volumes."""
    sidecar = sidecar_path(scan)
    if n != learnt.n_images or not sidecar.exists() or "Contrasts" not in read_object(sidecar):
        return None
    return read_protocol(sidecar)


def _times(protocol: Protocol) -> str:
    first = ", one first image for all" if protocol.shared_first and len(protocol.names) > 1 else ""
    contrasts = (f"{c.name} {', '.join(f'{t:g}' for t in c.times_ms)} ms" for c in protocol.contrasts)
    return "; ".join(contrasts) + first
