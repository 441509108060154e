"""Writing files so that a reader sees the old one or the new one, never half of either, and no input is lost."""

import os
import secrets
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path``; move it there once the block has written it without error.

    Parameters
    ----------
    path
        The file to be made or replaced. Its folder is made if need be.

    Yields
    ------
    Path
        Path of an empty file with the same suffixes in the same folder, gone if the block raises.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffixes stay at the end: writers choose their format by them. The file is made inside the try, so that a
    # signal leaves none behind, and by open, which gives it the permissions of any other file.
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp-{path.name}")
    try:
        temporary.open("xb").close()
        yield temporary
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8 to ``path`` in one step.

    Parameters
    ----------
    path
        The file to be made or replaced.
    text
        What it shall hold.
    """
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def check_targets(targets: Iterable[Path], *, inputs: Iterable[Path], overwrite: bool) -> None:
    """Refuse to write over an input, or, unless asked to, over anything.

    Parameters
    ----------
    targets
        Files that will be written.
    inputs
        Files that were read. They are never overwritten, whatever name or link leads to them.
    overwrite
        Whether other files may be.

    Raises
    ------
    FileExistsError
        If a target exists, be it as a broken link, and ``overwrite`` is false.
    IsADirectoryError
        If a target is a folder.
    ValueError
        If a target is an input.
    """
    inputs = [path for path in inputs if path.exists()]
    for target in targets:
        if not os.path.lexists(target):
            continue
        if target.is_dir():
            raise IsADirectoryError(f"{target}: this is a folder, and a file of that name shall be written.")
        if target.exists() and any(target.samefile(path) for path in inputs):
            raise ValueError(f"{target}: this is an input, which is never overwritten: choose another output folder.")
        if not overwrite:
            raise FileExistsError(
                f"{target}: the file exists: choose another output folder, or overwrite (--overwrite)."
            )


def prepare_folder(folder: Path) -> None:
    """Make a folder if need be, and make sure that files can be written there.

    Parameters
    ----------
    folder
        The folder.

    Raises
    ------
    OSError
        If it is a file, cannot be made, or cannot be written to.
    """
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder}: results go into a folder, and this is a file.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):  # permissions alone do not tell: the disk may be mounted read-only
            pass
    except OSError as error:
        raise type(error)(f"{folder}: cannot write results there: {error.strerror}.") from error
