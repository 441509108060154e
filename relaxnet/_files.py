"""Writing files so that a reader sees the old one or the new one, never half of either."""

import os
import tempfile
from collections.abc import Iterator
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
    Path of an empty file with the same suffixes in the same folder, gone if the block raises.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffixes stay at the end (writers choose their format by them); mkstemp makes the name unique and private.
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=f".tmp-{path.name}")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _umask() -> int:
    """Tell the permission mask of this process, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


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
