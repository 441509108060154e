"""Results in files: as data, as tables and as figures.

Two files hold the data. The small one, ``<name>.json``, has what tables need, an entry a line, and is for version
control. The compressed one, ``<name>.json.gz``, holds the whole result, errors of single subjects and maps included;
the same result gives the same bytes.
"""

import gzip
import json
import zlib
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from relaxnet._files import naming, replacing, write_text
from relaxnet.errors import require
from relaxnet.experiments import EXPERIMENTS
from relaxnet.experiments._harness.format import figure_latex
from relaxnet.plots import STYLE

_DETAILS = ("by_subject", "by_block", "liver_mean", "maps", "roi")
"""Keys that the compressed file alone has."""
_FORMATS = ("png", "pdf", "svg")
_NO_RESULT = "this is no result that run wrote: "
_LINE = 800  # characters, which hold an entry


def write_result(folder: Path, name: str, result: dict[str, Any]) -> None:
    """Write both files of a result.

    Parameters
    ----------
    folder
        Folder to write to.
    name
        Name of the experiment.
    result
        The result.
    """
    write_text(folder / f"{name}.json", _text(rounded(result, _DETAILS)) + "\n")
    with replacing(folder / f"{name}.json.gz") as temporary:
        temporary.write_bytes(gzip.compress(json.dumps(rounded(result)).encode(), mtime=0))


def read_result(folder: Path, name: str, *, details: bool = False) -> dict[str, Any]:
    """Read a result.

    Parameters
    ----------
    folder
        Folder of the results.
    name
        Name of the experiment.
    details
        Whether to read the whole result from the compressed file.

    Returns
    -------
    dict
        The result.

    Raises
    ------
    ValueError
        If the file is damaged, or holds another result.
    """
    path = folder / f"{name}.json{'.gz' if details else ''}"
    content = path.read_bytes()
    try:
        read = json.loads(gzip.decompress(content) if details else content)
        result: dict[str, Any] = {read["experiment"]: read}[name]  # that of another experiment has another key
    except (ValueError, LookupError, TypeError, EOFError, RecursionError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(
            f"{path} is damaged, or not a result of {name}: repeat the experiment, relaxnet experiment {name}."
        ) from error
    return result


def render(folder: str | Path, names: Iterable[str] | None = None, *, figures: str = "png") -> list[Path]:
    """Write the results of a folder as tables, in Markdown and LaTeX, and figures.

    Parameters
    ----------
    folder
        Folder that :func:`run` wrote to, such as ``results/laptop``.
    names
        Which of them; by default all that there are.
    figures
        Format of the figures: ``"png"`` with 300 dpi, or ``"pdf"`` or ``"svg"`` for print.

    Returns
    -------
    list of Path
        Files written, beside the results: ``<name>.md`` and ``<name>.tex`` with tables and captions, and
        ``<figure>.png``. Figures are as wide as a column of a journal (85 mm) or its page (180 mm). They are drawn from
        the compressed results, and only where these are there.

    Raises
    ------
    ValueError
        If the folder holds no result, or one that is damaged, or ``figures`` is another format.
    MissingExtraError
        If matplotlib is not installed.
    """
    if figures not in _FORMATS:
        raise ValueError(f"figures={figures!r} is unknown: choose from {', '.join(_FORMATS)}.")
    folder = Path(folder)
    found = [name for name in names or EXPERIMENTS if (folder / f"{name}.json").exists()]
    if not found:
        raise ValueError(f"folder={folder} holds no result, such as {next(iter(EXPERIMENTS))}.json.")
    files = []
    for name in found:
        small, whole = folder / f"{name}.json", folder / f"{name}.json.gz"
        result = read_result(folder, name)
        with naming(small, _NO_RESULT):
            for suffix, write in ((".md", markdown), (".tex", latex)):
                write_text(folder / f"{name}{suffix}", write(name, result))
                files.append(folder / f"{name}{suffix}")
        if not whole.exists():
            continue
        result = read_result(folder, name, details=True)
        with naming(whole, _NO_RESULT), require("matplotlib", extra="plot").rc_context(STYLE):
            for title, figure in EXPERIMENTS[name].load().figures(result).items():
                files.append(folder / f"{title}.{figures}")
                with replacing(files[-1]) as temporary:
                    figure.savefig(temporary, dpi=300, format=figures)
    return files


def rounded(value: Any, without: Collection[str] = ()) -> Any:
    """Keep as many digits as mean something, and leave some keys out.

    Parameters
    ----------
    value
        A result, or a part of it.
    without
        Keys to leave out.

    Returns
    -------
    Any
        The value as it is when it has been written and read.
    """
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {key: rounded(item, without) for key, item in value.items() if key not in without}
    return [rounded(item, without) for item in value] if isinstance(value, list | tuple) else value


def markdown(name: str, result: dict[str, Any]) -> str:
    """Write a result as Markdown.

    Parameters
    ----------
    name
        Name of the experiment.
    result
        Result of :func:`run`.

    Returns
    -------
    str
        The text.
    """
    choice = EXPERIMENTS[name]
    experiment = choice.load()
    parts = [f"# {choice.summary}", " ".join(experiment.question.split()), _origin(experiment, result)]
    for table in experiment.tables(result):
        parts += [f"## {table.title}", table.markdown()]
    for title, caption in experiment.captions(result).items():
        parts += [f"![{caption.partition('. ')[0]}]({title}.png)", f"*{caption}*"]
    return "\n\n".join(parts) + "\n"


def latex(name: str, result: dict[str, Any]) -> str:
    """Write a result as LaTeX tables and figures, for the packages ``booktabs`` and ``graphicx``.

    Parameters
    ----------
    name
        Name of the experiment.
    result
        Result of :func:`run`.

    Returns
    -------
    str
        The text.
    """
    choice = EXPERIMENTS[name]
    experiment = choice.load()
    parts = [f"% {choice.summary}. {_origin(experiment, result)}"]
    parts += [table.latex() for table in experiment.tables(result)]
    parts += [figure_latex(title, caption) for title, caption in experiment.captions(result).items()]
    return "\n\n".join(parts) + "\n"


def _text(value: Any, indent: str = "") -> str:
    """Write JSON, with a line for what fits into one."""
    line, inner = json.dumps(value, ensure_ascii=False), indent + " "
    if len(line) <= _LINE or not isinstance(value, dict | list):
        return line
    if isinstance(value, dict):
        items = [f"{json.dumps(key)}: {_text(item, inner)}" for key, item in value.items()]
    else:
        items = [_text(item, inner) for item in value]
    begin, end = "{}" if isinstance(value, dict) else "[]"
    return f"{begin}\n{inner}" + f",\n{inner}".join(items) + f"\n{indent}{end}"


def _origin(experiment: Any, result: dict[str, Any]) -> str:
    kept = "; ".join(_run(run) for run in result.get("earlier", ()))
    return f"{experiment.subjects(result)}; {_run(result)}.{f' Other rows: {kept}.' if kept else ''}"


def _run(result: dict[str, Any]) -> str:
    return (
        f"`{result['command']}`, relaxnet {result['versions']['relaxnet']}, {result['machine']}, {result['time'][:10]}"
    )
