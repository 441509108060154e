"""The examples as notebooks: for the build, which executes them, and for ``examples/notebooks``.

Run with the folder in which the build has executed them, it writes the latter.
"""

import io
import shutil
import sys
from base64 import b64decode, b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gallery
import jupytext
import nbformat
from docutils import nodes
from PIL import Image

LARGEST = 300_000
"""Bytes of a notebook that is committed."""


def write(folder: Path) -> None:
    """Write the notebooks, which the build executes, and their index.

    Parameters
    ----------
    folder
        Where; what is there is removed.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name in gallery.names():
        jupytext.write(notebook(name), folder / f"{name}.ipynb")
    (folder / "index.md").write_text(gallery.index(), encoding="utf-8")


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
    made = jupytext.read(gallery.SCRIPTS / f"{name}.py")
    for cell in made.cells:
        if "title" in cell.metadata:
            cell.metadata["mystnb"] = {"image": {"alt": cell.metadata.pop("title")}}
    return made


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
    for name in gallery.names():
        pictures = [Path(app.srcdir, uri) for uri in _pictures(app.env.get_doctree(f"examples/{name}"))]
        if pictures:
            shutil.copy(pictures[-1], Path(app.outdir, "_images", f"card-{name}.png"))
        elif app.config.nb_execution_mode != "off":
            raise ValueError(f"examples/{name}.py draws no picture, which its card in the index needs.")


def commit(executed: Path) -> None:
    """Put executed notebooks beside the scripts, small and without what differs from run to run.

    Parameters
    ----------
    executed
        The folder in which the build has executed them.
    """
    texts = {}
    for name in gallery.names():
        made, run = notebook(name), nbformat.read(executed / f"{name}.ipynb", as_version=4)
        codes = ([cell for cell in cells if cell.cell_type == "code"] for cells in (made.cells, run.cells))
        for number, (cell, ran) in enumerate(zip(*codes, strict=True), 1):
            if cell.source != ran.source:
                raise ValueError(f"examples/{name}.py has changed since it was executed: run make docs.")
            said = [output for output in ran.outputs if output.get("name") != "stderr"]  # progress and warnings: paths
            cell.execution_count, cell.outputs = number, [_small(output, number) for output in said]
        for number, cell in enumerate(made.cells):
            cell.id = f"{name}-{number}".replace("_", "-")
        text = nbformat.writes(made)
        if len(text) > LARGEST:
            raise ValueError(f"examples/{name}.py: its notebook has {len(text)} bytes; {LARGEST} are allowed.")
        texts[name] = f"{text}\n"
    folder = gallery.SCRIPTS / "notebooks"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, text in texts.items():
        (folder / f"{name}.ipynb").write_text(text, encoding="utf-8")


def _pictures(page: Any) -> Iterator[str]:
    return (image["uri"] for image in page.findall(nodes.image) if "://" not in image["uri"])


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
