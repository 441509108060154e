"""The parts of the documentation that follow from the code.

Tables of what can be chosen by name (``generated/*.md``, which pages include), and the pages of the reference
(``api/*.md``). The build writes them, so a new estimator, weighting, loss, preset, status or public name appears in the
documentation by itself.
"""

import ast
import inspect
import re
import tomllib
from dataclasses import fields
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import from_results
from from_results import table

import relaxnet as rx
from relaxnet._contrasts import KNOWN_CONTRASTS

ROOT = Path(__file__).parents[1]
PUBLIC = r"https://(?:raw\.)?github(?:usercontent)?\.com/relaxnet/relaxnet/(?:blob/|tree/)?main"
"""Where the README's links lead, which an index of packages shows far from its files."""
ORDER = (
    "fitting",
    "signals",
    "information",
    "losses",
    "nets",
    "training",
    "phantom",
    "metrics",
    "plots",
    "io",
    "workflows",
)
"""Modules with which the reference begins; the others follow by the alphabet."""


def write(docs: Path) -> None:
    """Write all tables and pages into the folder of the documentation.

    Parameters
    ----------
    docs
        The folder.
    """
    for folder, texts in (("generated", tables()), ("api", reference())):
        (docs / folder).mkdir(exist_ok=True)
        for name, text in texts.items():
            (docs / folder / f"{name}.md").write_text(text, encoding="utf-8")


def tables() -> dict[str, str]:
    """Write the table of everything that is chosen by name.

    Returns
    -------
    dict
        Markdown by the name of the table.
    """
    return {
        "models": models(),
        "methods": methods(),
        "statuses": statuses(),
        "losses": losses(),
        "weightings": weightings(),
        "presets": presets(),
        "contrasts": contrasts(),
        "extras": extras(),
        "which_method": from_results.which_method(),
        "paper_table2": from_results.paper_table2(),
        "peers": from_results.peers(),
        "readme": readme(),
    }


def models() -> str:
    """List the signal models, with what their images differ in and what is mapped."""
    rows = []
    for name in public_names("signals"):
        model = getattr(rx.signals, name)
        is_model = inspect.isclass(model) and issubclass(model, rx.signals.SignalModel)
        if is_model and not inspect.isabstract(model) and model is not rx.signals.ExponentialDecay:
            axis, parameter = model.axis, model.parameter
            cells = (_summary(model), f"{axis.name} ({axis.unit})", f"{parameter.name} ({parameter.unit})")
            rows.append((f"{{class}}`~relaxnet.signals.{name}`", *cells))
    return table(("model", "signal", "images differ in", "map"), rows)


def methods() -> str:
    """List the estimators of :func:`relaxnet.fit`."""
    rows = [
        (f'`"{name}"`', f"{choice.summary}.", f"{{func}}`~relaxnet.fitting.{choice.where.partition(':')[2]}`")
        for name, choice in rx.fitting.METHODS.items()
    ]
    return table(("`method=`", "estimator", "function"), rows)


def statuses() -> str:
    """List how the fit of a voxel can end."""
    rows = [(f"`{status.name}`", str(int(status)), status.meaning) for status in rx.FitStatus]
    return table(("status", "in files", "the voxel"), rows)


def losses() -> str:
    """List the training losses."""
    rows = [(f'`"{name}"`', loss.summary) for name, loss in rx.training.LOSSES.items()]
    return table(("`loss=`", "compares"), rows)


def weightings() -> str:
    """List the weightings of a training."""
    rows = []
    for name, choice in rx.losses.WEIGHTINGS.items():
        weighting = choice.where.partition(":")[2]
        needs = {"absolute": "", "signed": "signed residuals", "scales": "scales from the network"}
        rows.append(
            (f'`"{name}"`', choice.summary, f"{{class}}`~relaxnet.losses.{weighting}`", needs[choice.load().needs])
        )
    return table(("`weighting=`", "tasks are balanced by", "class", "needs"), rows)


def presets() -> str:
    """List the presets, setting by setting."""
    known = rx.training.PRESETS
    rows = [
        (f"`{field.name}`", *(_plain(getattr(preset, field.name)) for preset in known.values()))
        for field in fields(rx.training.Preset)
    ]
    return table(("`preset=`", *(f'`"{name}"`' for name in known)), rows)


def contrasts() -> str:
    """List the contrasts that have a name in files."""
    rows = [
        (
            f'`"{name}"`',
            contrast.label,
            f"`{contrast.suffix}`",
            " or ".join(f"`{key}`" for key in contrast.keys_along()),
        )
        for name, contrast in KNOWN_CONTRASTS.items()
    ]
    return table(("contrast", "in pictures", "suffix of the map", "times in the JSON file, in s"), rows)


def extras() -> str:
    """List the extras with the packages that they bring."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    rows = [
        (f"`{name}`", ", ".join(re.match(r"[A-Za-z0-9-]+(\[[^\]]+\])?", package)[0] for package in packages))
        for name, packages in project["optional-dependencies"].items()
        if name not in ("all", "docs", "dev")
    ]
    rows.append(("`all`", "all of them"))
    return table(("extra", "installs"), rows)


def readme() -> str:
    """Take over the README up to where it points to this documentation, with links and pictures of this one."""
    text = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Documentation")[0]
    return re.sub(rf"\]\({PUBLIC}/docs/", "](", text)


def reference() -> dict[str, str]:
    """Write the pages of the reference: one for each public module, and an index that lists every name.

    Returns
    -------
    dict
        Markdown by the name of the page.
    """
    top = [name for name in rx.__all__ if not isinstance(getattr(rx, name), ModuleType)]
    modules = {name: _summary(getattr(rx, name)) for name in (*ORDER, *sorted({*rx.__all__} - {*top, *ORDER}))}
    index = (
        "# Reference\n\nEverything is reached from `import relaxnet as rx`, and loaded when it is first used.\n\n"
        f"{_autosummary(top)}\n"
    )
    for name, summary in modules.items():
        index += f"\n## {{doc}}`rx.{name} <{name}>`\n\n{summary}.\n\n{_lines(name)}"
    toctree = "\n".join(f"rx.{name} <{name}>" for name in modules)
    pages = {"index": f"{index}\n```{{toctree}}\n:hidden:\n\n{toctree}\n```\n"}
    for name in modules:
        entries = [public for public in public_names(name) if public not in top]
        again = [f"{{py:obj}}`relaxnet.{public}`" for public in public_names(name) if public in top]
        also = f"\nAlso here: {', '.join(again)}.\n" if again else ""
        body = f"```{{eval-rst}}\n.. automodule:: relaxnet.{name}\n```\n{also}"
        pages[name] = f"# rx.{name}\n\n{body}\n{_autosummary(f'{name}.{public}' for public in entries)}"
    return pages


def homes() -> dict[str, str]:
    """Find where each public name is documented.

    Returns
    -------
    dict
        Its full name by its name.
    """
    modules = [name for name in rx.__all__ if isinstance(getattr(rx, name), ModuleType)]
    in_modules = {name: f"relaxnet.{module}.{name}" for module in modules for name in public_names(module)}
    return in_modules | {name: f"relaxnet.{name}" for name in rx.__all__}


def public_names(module: str) -> list[str]:
    """List the public names of a module: first those that its docstring names, in its order, then the others.

    Parameters
    ----------
    module
        Name of the module.

    Returns
    -------
    list of str
        The names.
    """
    of = getattr(rx, module)
    own = [name for name, value in vars(of).items() if getattr(value, "__module__", None) == of.__name__]
    names = list(getattr(of, "__all__", (name for name in own if not name.startswith("_"))))
    described = of.__doc__ or ""
    places = {name: re.search(rf":\w+:`~?(?:[\w.]+\.)?{name}`", described) for name in names}
    return sorted(names, key=lambda name: (places[name] is None, places[name].start() if places[name] else 0, name))


def comment_of(name: str) -> list[str]:
    """Find the docstring of a constant, which stands below it where it is defined.

    Parameters
    ----------
    name
        Full name of the constant, in the package that exports it.

    Returns
    -------
    list of str
        Its lines; none where it has no docstring.
    """
    package, _, constant = name.rpartition(".")
    source = _source(package)
    for home in (_imported(source).get(constant), package):
        statements = [] if home is None else ast.parse(_source(home)).body
        for statement, after in pairwise(statements):
            targets = getattr(statement, "targets", [getattr(statement, "target", None)])
            if any(isinstance(target, ast.Name) and target.id == constant for target in targets):
                text = (
                    after.value.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else ""
                )
                return inspect.cleandoc(text).splitlines()
    return []


def _imported(source: str) -> dict[str, str]:
    """Find the module that each name of a package is imported from."""
    return {
        alias.name: statement.module
        for statement in ast.walk(ast.parse(source))
        if isinstance(statement, ast.ImportFrom) and statement.module
        for alias in statement.names
    }


def _lines(module: str) -> str:
    """Write a line about each public name of a module."""
    rows = []
    for name in public_names(module):
        documented = getattr(getattr(rx, module), name)
        text = (
            inspect.getdoc(documented) if callable(documented) else "\n".join(comment_of(f"relaxnet.{module}.{name}"))
        )
        rows.append((f"{{py:obj}}`~relaxnet.{_home(module, name)}`", _first_sentence(text or "")))
    return table(("name", ""), rows)


def _source(module: str) -> str:
    folder = ROOT.joinpath(*module.split("."))
    return (folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")).read_text(encoding="utf-8")


def _home(module: str, name: str) -> str:
    """Give the name under which something is documented: the shortest."""
    return name if name in rx.__all__ else f"{module}.{name}"


def _summary(documented: Any) -> str:
    """Give the first sentence of a docstring, in Markdown, without its full stop."""
    return _first_sentence(inspect.getdoc(documented) or "")


def _first_sentence(text: str) -> str:
    """Give the first sentence of a text in the markup of docstrings, in Markdown, without its full stop."""
    summary = " ".join(text.partition("\n\n")[0].split()).rstrip(".")
    summary = re.sub(r":math:`([^`]+)`", r"$\1$", summary)
    summary = re.sub(r":\w+:`~?(?:[\w.]+\.)?(\w+)`", r"`\1`", summary)
    return summary.replace("``", "`").replace("|", r"\|")


def _plain(value: Any) -> str:
    if value is None or value in (False, ()):
        return "-"
    if value is True:
        return "yes"
    if isinstance(value, tuple):
        return ", ".join(part if isinstance(part, str) else f"{part:g}" for part in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _autosummary(names: Any) -> str:
    listed = "\n".join(f"   {name}" for name in names)
    return (
        "```{eval-rst}\n.. currentmodule:: relaxnet\n\n.. autosummary::\n   :toctree: generated\n   :nosignatures:\n\n"
        f"{listed}\n```\n"
    )
