"""The examples: scripts that become notebooks, an index with their pictures, and what each is called.

Run with the cache of notebooks that the build has executed, it puts them into ``examples/notebooks``.
"""

import ast
import html
import io
import re
import shutil
import sys
from base64 import b64decode, b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from docutils import nodes
from jupyter_cache import get_cache
from PIL import Image

SCRIPTS = Path(__file__).parents[1] / "examples"
LARGEST = 300_000
"""Bytes of a notebook that is committed."""

GROUPS = {
    "Map a scan": ("demo", "scanner", "regions", "trust", "denoise", "contrasts", "overnight"),
    "Train a network": ("train_own", "predict", "calibration", "losses", "own_loop", "backbone", "layer"),
    "Plan and simulate": ("protocol_design", "phantom", "paper"),
}
"""Names of the examples, in the order of the index."""


def write(folder: Path) -> None:
    """Write the notebooks, which the build executes, and their index.

    Parameters
    ----------
    folder
        Where; what is there is removed.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name in names():
        jupytext.write(notebook(name), folder / f"{name}.ipynb")
    (folder / "index.md").write_text(index(), encoding="utf-8")


def notebook(name: str) -> Any:
    """Make a notebook of an example. The title of a cell is the text of its pictures.

    Parameters
    ----------
    name
        Name of its file.

    Returns
    -------
    nbformat.NotebookNode
        The notebook, not executed.
    """
    made = jupytext.read(SCRIPTS / f"{name}.py")
    for cell in made.cells:
        if "title" in cell.metadata:
            cell.metadata["mystnb"] = {"image": {"alt": cell.metadata.pop("title")}}
    return made


def names() -> list[str]:
    """List the examples in the order of the index.

    Returns
    -------
    list of str
        Names of their files, without the suffix.
    """
    return [name for group in GROUPS.values() for name in group]


def describe(name: str) -> tuple[str, str]:
    """Read what an example is about.

    Parameters
    ----------
    name
        Name of its file.

    Returns
    -------
    tuple of str
        Its title, and its first sentence.
    """
    text = (SCRIPTS / f"{name}.py").read_text(encoding="utf-8")
    ast.parse(text)
    cell = text.partition("# %% [markdown]\n")[2].partition("# %%")[0]
    title, _, body = re.sub(r"^# ?", "", cell, flags=re.MULTILINE).strip().removeprefix("# ").partition("\n\n")
    first = " ".join(body.split("\n\n")[0].split())
    return title, re.match(r".*?[.:](?= |$)", first)[0].rstrip(":.") + "."


def index() -> str:
    """Write the index: a card with the last picture of each example, and its notebook to take.

    Returns
    -------
    str
        Markdown.
    """
    parts = [
        "# How-to guides\n\nEach is a script, which is run when this site is built and needs `relaxnet[all]` alone."
    ]
    for group, members in GROUPS.items():
        cards = "\n".join(_card(name) for name in members)
        parts.append(f'## {group}\n\n<div class="cards">\n{cards}\n</div>')
    toctree = "\n".join([*names(), "../extend/index"])
    parts.append(f"```{{toctree}}\n:hidden:\n\n{toctree}\n```")
    parts.append("## Parts of your own\n\n{doc}`../extend/index` adds a signal model, an estimator or a weighting.")
    return "\n\n".join(parts) + "\n"


def _card(name: str) -> str:
    title, sentence = (re.sub(r"`(.+?)`", r"<code>\1</code>", html.escape(text)) for text in describe(name))
    picture = f'<img src="../_images/card-{name}.png" alt="" loading="lazy">'  # the title beside it says what it is
    return f'<a class="card" href="{name}.html">{picture}<b>{title}</b><span>{sentence}</span></a>'


def copy_pictures(app: Any, exception: Exception | None) -> None:
    """Copy the last picture of each example to where its card looks for it, when all pages are written.

    Parameters
    ----------
    app
        The build.
    exception
        Why it failed, if it did.
    """
    if exception is not None or app.builder.format != "html":
        return
    for name in names():
        pictures = [Path(app.srcdir, uri) for uri in _pictures(app.env.get_doctree(f"examples/{name}"))]
        if pictures:
            shutil.copy(pictures[-1], Path(app.outdir, "_images", f"card-{name}.png"))
        elif app.config.nb_execution_mode != "off":
            raise ValueError(f"examples/{name}.py draws no picture, which its card in the index needs.")


def _pictures(page: Any) -> Iterator[str]:
    return (image["uri"] for image in page.findall(nodes.image) if "://" not in image["uri"])


def commit(cache: Path) -> None:
    """Put executed notebooks beside the scripts, small and without what differs from run to run.

    Parameters
    ----------
    cache
        The cache of the build.
    """
    texts = {}
    for name in names():
        _, made = get_cache(cache).merge_match_into_notebook(notebook(name))
        for number, cell in enumerate((cell for cell in made.cells if cell.cell_type == "code"), 1):
            cell.metadata.pop("execution", None)
            cell.execution_count, cell.outputs = number, [_small(output, number) for output in cell.outputs]
        for number, cell in enumerate(made.cells):
            cell.id = f"{name}-{number}".replace("_", "-")
        text = nbformat.writes(made)
        if len(text) > LARGEST:
            raise ValueError(f"examples/{name}.py: its notebook has {len(text)} bytes; {LARGEST} are allowed.")
        texts[name] = f"{text}\n"
    folder = SCRIPTS / "notebooks"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, text in texts.items():
        (folder / f"{name}.ipynb").write_text(text, encoding="utf-8")


def _small(output: Any, number: int) -> Any:
    """Store a picture with a palette, which takes a third of the space."""
    output = nbformat.from_dict(output)
    if "execution_count" in output:
        output.execution_count = number
    picture = output.get("data", {}).get("image/png")
    if picture:
        stored = io.BytesIO()
        image = Image.open(io.BytesIO(b64decode(picture))).convert("RGB")
        image.thumbnail((800, 800))
        image.quantize(64).save(stored, "png", optimize=True)
        output.data["image/png"] = b64encode(stored.getvalue()).decode()
    return output


if __name__ == "__main__":
    commit(Path(sys.argv[1]))
