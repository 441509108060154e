"""The folder of a run: all that decides its result, and the checkpoint from which it is resumed."""

import json
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import torch
from torch import Tensor, nn

from relaxnet._files import write_text
from relaxnet._version import __version__
from relaxnet.losses import Weighting
from relaxnet.nets import RelaxationNet
from relaxnet.training._data import Case, digest
from relaxnet.training._loss import Loss

CHECKPOINT, SETTINGS = "run.ckpt", "settings.json"
_SEAL = "seal"  # key of a checkpoint
_PLAIN = (bool, int, float, str, type(None))
_ANYWHERE = ("accelerator",)  # options of the trainer with which a run may be resumed elsewhere


def describe_run(
    net: RelaxationNet,
    loss: Loss,
    weighting: Weighting,
    cases: Sequence[Sequence[Case]],
    trainer: Mapping[str, Any],
) -> dict[str, Any]:
    """Describe all that decides the result of a training, before it begins.

    Parameters
    ----------
    net, loss, weighting
        What is trained, and how.
    cases
        Subjects to validate with, and subjects to train with.
    trainer
        Options of Lightning's trainer.

    Returns
    -------
    dict
        Values that JSON can hold; tensors are described by a digest.
    """
    own = vars(weighting).keys() - vars(nn.Module()).keys()
    options = {name: getattr(weighting, name) for name in sorted(own) if isinstance(getattr(weighting, name), _PLAIN)}
    return {
        "relaxnet": __version__,
        "data": {
            "validating": len(cases[0]),
            "training": len(cases[1]),
            "content": digest(part for group in cases for case in group for part in _parts(case)),
        },
        "net": net.config,
        "start": digest(net.state_dict().values()),
        "loss": {"class": _name_of(loss), **asdict(loss)},
        "weighting": {"class": _name_of(weighting), **options, "state": digest(weighting.state_dict().values())},
        "trainer": {
            name: value if isinstance(value, (*_PLAIN, list)) else _name_of(value)
            for name, value in sorted(trainer.items())
            if name not in _ANYWHERE
        },
    }


def open_run(folder: Path, settings: dict[str, Any]) -> Path | None:
    """Find the saved run of a folder; if there is none, record the settings of the one that begins.

    Parameters
    ----------
    folder
        The folder.
    settings
        Result of :func:`describe_run`, and further settings.

    Returns
    -------
    Path
        The checkpoint; None if no run is saved.

    Raises
    ------
    ValueError
        If the saved run is of other settings, or its file is damaged.
    """
    path = folder / CHECKPOINT
    if not path.exists():
        write_text(folder / SETTINGS, json.dumps(settings, indent=2))
        return None
    with path.open("rb") as stream:
        try:
            before = _read(stream)["callbacks"]["SaveRun"]["settings"]
        except Exception as error:  # whatever a foreign file makes the readers of zip and pickle raise
            raise ValueError(
                f"{path} is damaged, or was not written by this version of relaxnet: delete it to begin anew."
            ) from error
    different = list(_differences(before, json.loads(json.dumps(settings))))
    if different:
        raise ValueError(
            f"out={folder} holds a run of other settings: {', '.join(different)}. Choose another folder, or delete "
            f"{CHECKPOINT} to begin anew."
        )
    return path


def _read(stream: Any) -> dict[str, Any]:
    """Read a checkpoint. Nothing in it is executed."""
    with ZipFile(stream) as archive:
        if archive.testzip() is not None:  # torch does not compare checksums
            raise ValueError("a checksum differs.")
    stream.seek(0)
    saved: dict[str, Any] = torch.load(stream, map_location="cpu", weights_only=True)
    if saved.pop(_SEAL) != _seal(saved):
        raise ValueError("it holds something else than was saved.")
    return saved


def seal(checkpoint: dict[str, Any]) -> None:
    """Add to a checkpoint what tells whether its content is that which was saved.

    Parameters
    ----------
    checkpoint
        The checkpoint, which holds tensors and plain values.
    """
    checkpoint[_SEAL] = _seal(checkpoint)


def _seal(checkpoint: dict[str, Any]) -> str:
    leaves = [*_leaves(checkpoint)]
    plain = repr([leaf for leaf in leaves if not isinstance(leaf, Tensor)])
    return digest(leaf for leaf in leaves if isinstance(leaf, Tensor)) + sha256(plain.encode()).hexdigest()[:16]


def _leaves(thing: Any) -> Iterator[Any]:
    """List the values of nested containers, and the keys and lengths by which they are nested."""
    if isinstance(thing, Mapping):
        for key, value in thing.items():
            yield key
            yield from _leaves(value)
    elif isinstance(thing, list | tuple):
        yield len(thing)
        for value in thing:
            yield from _leaves(value)
    else:
        yield thing


def _name_of(thing: object) -> str:
    return f"{type(thing).__module__}.{type(thing).__qualname__}"


def _parts(case: Case) -> list[Tensor]:
    """List all tensors of a subject that a training may use."""
    parts = [case.images, torch.tensor(-1.0 if case.sigma is None else case.sigma)]
    if case.subject is not None:
        truth = (case.subject.truth[name] for name in sorted(case.subject.truth))
        parts += [case.subject.clean, case.subject.roi, *truth]
    return parts if case.mask is None else [*parts, case.mask]


def _differences(before: Any, now: Any, name: str = "") -> Iterator[str]:
    """Name the settings that differ."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in {**before, **now}:
            yield from _differences(before.get(key), now.get(key), f"{name}.{key}".removeprefix("."))
    elif before != now:
        yield f"{name} ({reprlib.repr(before)}, now {reprlib.repr(now)})"
