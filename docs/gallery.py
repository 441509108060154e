"""The examples: scripts that become notebooks, an index with their pictures, and what each is called."""

import ast
import html
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jupytext
from docutils import nodes

SCRIPTS = Path(__file__).parents[1] / "examples"

GROUPS = {
    "Begin": ("demo",),
    "Design and simulate": ("protocol_design", "phantom"),
    "Train": ("losses", "paper"),
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
