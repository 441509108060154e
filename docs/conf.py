"""Configuration of the documentation."""

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import jupytext

import relaxnet

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import from_code  # noqa: E402 (it stands beside this file)

project = "relaxnet"
author = "The relaxnet developers"
copyright = "2026, the relaxnet developers"
version = release = relaxnet.__version__

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx_copybutton",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "demo", "generated", "**.ipynb_checkpoints"]

html_theme = "pydata_sphinx_theme"
html_title = "relaxnet"
html_theme_options = {
    "show_prev_next": False,
    "navigation_with_keys": False,
    "secondary_sidebar_items": {"**": ["page-toc"], "models": []},
}
html_static_path = ["_static"]
html_css_files = ["wide.css"]
html_sidebars = {name: [] for name in ("index", "guide", "models", "speed", "experiments", "contributing", "changelog")}
html_copy_source = False
html_show_sourcelink = False

myst_enable_extensions = ["dollarmath", "colon_fence"]
copybutton_exclude = ".linenos, .gp, .go"

autosummary_generate = True
autodoc_typehints = "none"  # numpydoc describes parameters; signatures with shapes would not fit on a line
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

# The examples are scripts; here they become notebooks, which are run, shown, and offered for download.
# Always: what a change of the library breaks shows here, and in no other place.
nb_execution_mode = "force"
os.environ["PYTHONWARNINGS"] = "error::DeprecationWarning:__main__"  # of what the examples call, in their kernels
nb_execution_raise_on_error = True
nb_execution_timeout = 600
nb_execution_in_temp = True
nb_execution_show_tb = True
nb_merge_streams = True


def _make_notebooks() -> None:
    target = HERE / "examples"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    names = []
    for script in sorted((HERE.parent / "examples").glob("*.py")):
        jupytext.write(jupytext.read(script), target / f"{script.stem}.ipynb")
        names.append(script.stem)
    toctree = "\n".join(names)
    downloads = "\n".join(f"- {{download}}`{name}.ipynb <{name}.ipynb>`" for name in names)
    text = (
        "# Examples\n\nEach is run when this site is built, and can be taken as a notebook:\n\n"
        f"{downloads}\n\n```{{toctree}}\n:maxdepth: 1\n\n{toctree}\n```\n"
    )
    (target / "index.md").write_text(text, encoding="utf-8")


def _describe_constant(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Show the text below a constant where it is defined: Sphinx looks for it where it is exported."""
    del app, obj, options
    if what == "data":
        lines[:] = from_code.comment_of(name)


def _find_at_the_top(app: Any, env: Any, node: Any, content: Any) -> Any:
    """Let what a module calls ``fit`` lead to ``relaxnet.fit``, where it is documented."""
    name = node.get("reftarget", "").rpartition(".")[2]
    if node.get("refdomain") != "py" or name not in relaxnet.__all__:
        return None
    kind, here = node["reftype"], node["refdoc"]
    return env.domains["py"].resolve_xref(env, here, app.builder, kind, f"relaxnet.{name}", node, content)


def setup(app: Any) -> None:
    app.connect("autodoc-process-docstring", _describe_constant)
    app.connect("missing-reference", _find_at_the_top)


shutil.rmtree(HERE / "api", ignore_errors=True)  # with the pages of names that are no more
from_code.write(HERE)
_make_notebooks()
