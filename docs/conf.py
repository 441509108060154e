"""Configuration of the documentation."""

import shutil
from pathlib import Path

import jupytext

import relaxnet

HERE = Path(__file__).parent

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
exclude_patterns = ["_build", "demo", "**.ipynb_checkpoints"]

html_theme = "pydata_sphinx_theme"
html_title = "relaxnet"
html_theme_options = {"show_prev_next": False, "navigation_with_keys": False}
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
nb_execution_mode = "cache"
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


_make_notebooks()
