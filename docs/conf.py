"""Configuration of the documentation."""

import os
import shutil
import sys
from importlib.metadata import files
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.util import logging

import relaxnet

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import check_pages  # noqa: E402 (these stand beside this file)
import forest  # noqa: E402
import from_code  # noqa: E402
import notebooks  # noqa: E402
import signatures  # noqa: E402

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
    "header_links_before_dropdown": 6,
    "navigation_with_keys": False,
    "show_prev_next": False,
    "secondary_sidebar_items": {"**": ["page-toc"], "experiments": [], "models": []},  # their tables take all there is
}
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_sidebars = {name: [] for name in ("index", "experiments", "models")}
html_copy_source = False
html_show_sourcelink = False

myst_heading_anchors = 2
myst_enable_extensions = ["dollarmath", "colon_fence"]
copybutton_exclude = ".linenos, .gp, .go"

autosummary_generate = True
autodoc_typehints = "none"  # signatures.py writes them
python_maximum_signature_line_length = 80  # beyond it, each parameter has a line of its own
python_use_unqualified_type_names = True
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
nitpicky = True
nitpick_ignore_regex = [("py:class", r"(collections|http|pathlib|torch)\..*")]  # documented elsewhere

# The examples are scripts; notebooks.py makes notebooks of them, which are run, shown, and offered for download.
# Always: what a change of the library breaks shows here, and in no other place.
nb_execution_mode = "force"
os.environ["PYTHONWARNINGS"] = "error::DeprecationWarning:__main__"  # of what the examples call, in their kernels
nb_execution_raise_on_error = True
nb_execution_timeout = 600
nb_execution_in_temp = True
nb_execution_show_tb = True
nb_merge_streams = True


def _bring_mathjax() -> str:
    """Copy MathJax, one file that draws formulas without fonts, so that no page asks another server for it."""
    (script,) = (path for path in files("sphinx-mathjax-offline") or () if path.name == "tex-svg.js")
    target = HERE / "_static" / "mathjax.js"
    shutil.copy(script.locate(), target)
    return target.name


def _describe_constant(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Show the text below a constant where it is defined: Sphinx looks for it where it is exported."""
    del app, obj, options
    if what == "data":
        lines[:] = from_code.comment_of(name)


def _find_home(app: Any, env: Any, node: Any, content: Any) -> Any:
    """Let what a module calls ``fit`` lead to ``relaxnet.fit``, where it is documented."""
    *_, owner, name = ["", *node.get("reftarget", "").split(".")]
    home = HOMES.get(name) or (f"{HOMES[owner]}.{name}" if owner in HOMES else None)
    if node.get("refdomain") != "py" or home is None:
        return None
    return env.domains["py"].resolve_xref(env, node["refdoc"], app.builder, node["reftype"], home, node, content)


def _write_signature(app: Any, what: str, name: str, obj: Any, options: Any, *texts: Any) -> Any:
    """Show types and defaults as the source has them."""
    del app, what, name, options, texts
    return signatures.signature_of(obj, HOMES)


def _link_own_types_alone(app: Any, page: Any) -> None:
    """Leave the names of axes and of types of other packages in signatures as text."""
    del app
    for signature in page.findall(addnodes.desc_signature):
        for link in [*signature.findall(addnodes.pending_xref)]:
            if not link["reftarget"].startswith("relaxnet."):
                link.replace_self(nodes.Text(link["reftarget"].rpartition(".")[2]))


def _check_pages(app: Any, exception: Exception | None) -> None:
    """Fail where a built page has a dead link, asks another server, or shows a picture without a text."""
    if exception is None and app.builder.format == "html":
        for problem in check_pages.problems(Path(app.outdir)):
            logging.getLogger(__name__).warning(problem)


def setup(app: Any) -> None:
    app.connect("doctree-read", _link_own_types_alone)
    app.connect("autodoc-process-signature", _write_signature)
    app.connect("build-finished", notebooks.copy_pictures)
    app.connect("build-finished", _check_pages)
    app.connect("autodoc-process-docstring", _describe_constant)
    app.connect("missing-reference", _find_home)


shutil.rmtree(HERE / "api", ignore_errors=True)  # with the pages of names that are no more
from_code.write(HERE)
forest.write(HERE / "generated")
notebooks.write(HERE / "examples")
HOMES = from_code.homes()
mathjax_path = _bring_mathjax()
