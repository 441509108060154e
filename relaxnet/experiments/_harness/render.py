"""Results as tables and figures."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from relaxnet._files import replacing, write_text
from relaxnet.experiments import EXPERIMENTS
from relaxnet.experiments._harness.run import CACHE


def render(folder: str | Path, names: Iterable[str] | None = None) -> list[Path]:
    """Write the results of a folder as tables, in Markdown and LaTeX, and figures.

    Parameters
    ----------
    folder
        Where :func:`run` wrote them, such as ``results/laptop``.
    names
        Which of them; by default all that there are.

    Returns
    -------
    list of Path
        Files written, beside the results: ``<name>.md``, ``<name>.tex`` and ``<figure>.png``. A figure of maps needs
        what :func:`run` has left in its cache; without, it is not drawn again.

    Raises
    ------
    ValueError
        If the folder holds no result.
    MissingExtraError
        If matplotlib is not installed.
    """
    folder = Path(folder)
    found = [name for name in names or EXPERIMENTS if (folder / f"{name}.json").exists()]
    if not found:
        raise ValueError(f"folder={folder} holds no result, such as {next(iter(EXPERIMENTS))}.json.")
    files = []
    for name in found:
        result = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        for suffix, write in ((".md", markdown), (".tex", latex)):
            files.append(folder / f"{name}{suffix}")
            write_text(files[-1], write(name, result))
        for title, figure in EXPERIMENTS[name].load().figures(result, folder.parent / CACHE).items():
            files.append(folder / f"{title}.png")
            with replacing(files[-1]) as temporary:
                figure.savefig(temporary, dpi=110, format="png")
    return files


def markdown(name: str, result: dict[str, Any]) -> str:
    """Write a result as Markdown.

    Parameters
    ----------
    name
        Name of the experiment.
    result
        What :func:`run` wrote.

    Returns
    -------
    str
        The text.
    """
    experiment = EXPERIMENTS[name].load()
    parts = [f"# {experiment.title}", experiment.question, _origin(result)]
    for table in experiment.tables(result):
        parts += [f"## {table.title}", table.markdown()]
    return "\n\n".join(parts) + "\n"


def latex(name: str, result: dict[str, Any]) -> str:
    """Write a result as LaTeX tables, for the package ``booktabs``.

    Parameters
    ----------
    name
        Name of the experiment.
    result
        What :func:`run` wrote.

    Returns
    -------
    str
        The text.
    """
    experiment = EXPERIMENTS[name].load()
    parts = [f"% {experiment.title}. {_origin(result)}"]
    parts += [table.latex() for table in experiment.tables(result)]
    return "\n\n".join(parts) + "\n"


def _origin(result: dict[str, Any]) -> str:
    patients = result["patients"]
    height, width = patients["shape"]
    return (
        f"{patients['n']} digital patients, {patients['slices']} slice(s) of {height} x {width}, SNR "
        f"{patients['snr']:g} where no other is named, {patients['folds']} folds; `{result['command']}`, relaxnet "
        f"{result['versions']['relaxnet']}, {result['machine']}, {result['time'][:10]}."
    )
