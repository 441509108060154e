"""The index of the examples: what they are called, in which order, each with its picture."""

import ast
import html
import re
from pathlib import Path

SCRIPTS = Path(__file__).parents[1] / "examples"

GROUPS = {
    "Map a scan": ("demo", "scanner", "regions", "trust", "denoise", "contrasts", "overnight"),
    "Train a network": ("train_own", "predict", "calibration", "losses", "own_loop", "backbone", "layer", "export"),
    "Plan and simulate": ("protocol_design", "phantom", "paper"),
}
"""Names of the examples, in the order of the index."""


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
    parts.append("## Parts of your own\n\n{doc}`../extend/index`: a signal model, an estimator, a loss, a weighting.")
    downloads = ", ".join(f"{{download}}`{name} <{name}.ipynb>`" for name in names())
    parts.append(f"## As notebooks\n\nTo take along: {downloads}.")
    return "\n\n".join(parts) + "\n"


def _card(name: str) -> str:
    title, sentence = (re.sub(r"`(.+?)`", r"<code>\1</code>", html.escape(text)) for text in describe(name))
    picture = f'<img src="../_images/card-{name}.png" alt="" loading="lazy">'  # the title beside it says what it is
    return f'<a class="card" href="{name}.html">{picture}<b>{title}</b><span>{sentence}</span></a>'
