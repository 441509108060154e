"""Writing files so that a reader sees the old one or the new one, never half of either, and no input is lost."""

import hashlib
import os
import platform
import secrets
import signal
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from relaxnet._messages import brief, printable

_LONGEST_NAME = 255  # bytes, on all usual file systems


def _here() -> str:
    """Return a name of the place where the number of a process means this process: a machine, or a container."""
    space = Path("/proc/self/ns/pid")
    place = platform.node() + (str(space.readlink()) if space.is_symlink() else "")
    return hashlib.sha256(place.encode()).hexdigest()[:8]


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
    with replacing_all([path]) as (temporary,):
        yield temporary


@contextmanager
def replacing_all(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """Give a temporary path beside each path; move all of them once the block has written them without error.

    SIGINT and SIGTERM wait until all files have moved. For what cannot wait, such as SIGKILL or a power cut, the first
    path is a mark: it is removed before the others move, and is the last to move. So the others belong together where
    it exists.

    Parameters
    ----------
    paths
        The files to be made or replaced, the mark first. Folders are made if need be.

    Yields
    ------
    list of Path
        Paths of empty files with the same suffixes in the same folders, gone if the block raises.
    """
    # The end of the name stays: writers choose their format by it. The files are made inside the try, so that a signal
    # leaves none behind, and by open, which gives them the permissions of any other file.
    own = f".{_here()}-{os.getpid()}-{secrets.token_hex(4)}"
    temporaries = [path.with_name(f"{own}-{k}.tmp-{path.name[-12:]}") for k, path in enumerate(paths)]
    folders = dict.fromkeys(path.parent for path in paths)
    try:
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
        for temporary in temporaries:
            temporary.open("xb").close()
        yield temporaries
        for temporary in temporaries:
            with temporary.open("rb+") as stream:
                os.fsync(stream.fileno())
        with uninterrupted():
            if len(paths) > 1:
                paths[0].unlink(missing_ok=True)
                for temporary, path in zip(temporaries[1:], paths[1:], strict=True):
                    temporary.replace(path)
                for folder in folders:
                    _sync(folder)
            temporaries[0].replace(paths[0])
            _sync(paths[0].parent)
    except BaseException:
        with uninterrupted():
            for temporary in temporaries:
                temporary.unlink(missing_ok=True)
        raise
    for folder in folders:
        clear_temporaries(folder)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let SIGINT and SIGTERM wait for the end of the block.

    Yields
    ------
    None
        Nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are handled in the main thread alone
        return
    caught: list[int] = []
    before: dict[int, Any] = {}
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            if (handler := signal.getsignal(number)) not in (None, signal.SIG_IGN):
                before[number] = handler
                signal.signal(number, lambda came, _: caught.append(came))
        yield
    finally:
        for ours, handler in before.items():
            signal.signal(ours, handler)
        for came in caught:
            signal.raise_signal(came)


def _sync(folder: Path) -> None:
    """Bring the names in a folder to the disk, where the system can."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network disks refuse it, and the files themselves are there
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def clear_temporaries(folder: Path) -> None:
    """Remove the temporary files of processes of this machine that were killed.

    Parameters
    ----------
    folder
        Where they were writing.
    """
    for left in folder.glob(f".{_here()}-*.tmp-*"):
        process = left.name.split("-")[1]
        if process.isdigit() and not _runs(int(process)):
            left.unlink(missing_ok=True)


def _runs(process: int) -> bool:
    if os.name != "posix":
        return True  # on Windows, the question would end it
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it is another user's
    return True


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
        Files that will be written; where they are a set, first the mark that :func:`replacing_all` moves last.
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
        If a target is an input, or its name is too long for a file.
    """
    targets, inputs = list(targets), [path for path in inputs if path.exists()]
    for target in targets:
        if len(os.fsencode(target.name)) > _LONGEST_NAME:
            raise ValueError(
                f"{target}: a name of {len(os.fsencode(target.name))} bytes is too long, {_LONGEST_NAME} are possible."
            )
    there = [target for target in targets if os.path.lexists(target)]
    for target in there:
        if target.is_dir():
            raise IsADirectoryError(f"{target}: this is a folder, and a file of that name shall be written.")
        if target.exists() and any(target.samefile(path) for path in inputs):
            raise ValueError(f"{target}: this is an input, which is never overwritten: choose another output folder.")
    if there and not overwrite:
        mark = targets[0]
        doubt = (
            "" if mark in there else f" without {mark.name}, so a run may have been cut off between old and new ones"
        )
        raise FileExistsError(
            f"{there[0]}: the file exists{doubt}: choose another output folder, or overwrite (--overwrite)."
        )


def check_links(folder: Path, paths: Iterable[Path]) -> None:
    """Refuse to write or delete through a link that leads out of a folder.

    Parameters
    ----------
    folder
        The folder, which may be a link itself.
    paths
        Files below it. They may be links, which are replaced or deleted without their target; their folders may not.

    Raises
    ------
    ValueError
        If a folder between is a link.
    """
    ways = {parent for path in paths for parent in path.relative_to(folder).parents}
    for way in sorted(folder / way for way in ways if way != Path()):
        if way.is_symlink():
            raise ValueError(f"{way}: this is a link, which is not followed: choose another output folder.")


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


@contextmanager
def naming(path: Path, what: str = "") -> Iterator[None]:
    """Name a file in errors that its content causes; they become ValueErrors, as no content is a mistake of ours.

    Parameters
    ----------
    path
        The file that the block reads or makes sense of.
    what
        What is said between its name and the error.

    Yields
    ------
    None
        Nothing.

    Raises
    ------
    ValueError
        If the block raises what a content can cause.
    """
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        told = str(error) if isinstance(error, ValueError) else repr(error)
        raise ValueError(f"{path}: {what}{brief(printable(told), longest=500)}") from error
