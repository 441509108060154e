"""Every list of choices is written down once: registry, signature, command line and documentation follow from it."""

import ast
import builtins
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import relaxnet as rx
from relaxnet._choices import Choice, pick
from relaxnet.cli import main

PACKAGE = Path(rx.__file__).parent
CHOICES = {
    "method": rx.fitting.METHODS,
    "weighting": rx.losses.WEIGHTINGS,
    "loss": rx.training.LOSSES,
    "preset": rx.training.PRESETS,
    "name": rx.experiments.EXPERIMENTS,
    "setting": rx.experiments.SETTINGS,
}
OFFERED = CHOICES | {
    "method": rx.fitting.METHODS | rx.fitting.SPATIAL,
    "name": dict.fromkeys([*rx.experiments.EXPERIMENTS, "all"]),
}
"""What the command line offers."""
HOMES = {
    "method": "fitting/__init__.py",
    "weighting": "losses/__init__.py",
    "loss": "training/_loss.py",
    "preset": ("training/_presets.py", "experiments/__init__.py"),  # whose settings begin with the preset of that name
    "name": "experiments/__init__.py",
    "setting": ("training/_presets.py", "experiments/__init__.py"),
}
lists = pytest.mark.parametrize("known", CHOICES.values(), ids=CHOICES)


@lists
def test_every_choice_says_what_it_is_in_one_line(known):
    for name, choice in known.items():
        assert re.fullmatch(r"[a-z0-9-]+", name)
        assert re.fullmatch(r"[A-Z][^\n]+[^.\s]", choice.summary), f"{name}: {choice.summary!r}"
        if isinstance(choice, Choice):
            assert choice.load() is not None


def test_the_lists_cost_no_torch():
    code = (
        "import sys, relaxnet as rx\n"
        "rx.fitting.METHODS, rx.fitting.FitStatus, rx.losses.WEIGHTINGS, rx.training.LOSSES, rx.training.PRESETS\n"
        "rx.experiments.EXPERIMENTS, rx.errors; print('torch' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert answer == "False\n"


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        (("fit", "t2"), ("method",)),
        (("train",), ("weighting", "loss", "preset")),
        (("experiment",), ("name", "setting")),
    ],
)
def test_the_command_line_offers_what_the_registries_hold(command, arguments, capsys):
    assert main([*command, "--help"]) == 0
    text = "".join(capsys.readouterr().out.split())  # lines break where they like
    for argument in arguments:
        known = CHOICES[argument]
        offered = re.escape("|".join(OFFERED[argument]))
        assert re.search(rf"<{offered}>|\[{offered}\]|{{{offered}}}", text)  # as the version of typer has it
        explained = ";".join(f"{name}:{choice.summary}" for name, choice in known.items())
        assert explained.replace(" ", "") in text


def test_the_shell_completes_what_the_registries_hold(capsys, monkeypatch):
    monkeypatch.setenv("_RELAXNET_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "relaxnet train cohort --weighting ")
    monkeypatch.setenv("COMP_CWORD", "4")
    with pytest.raises(SystemExit):
        main([])
    assert capsys.readouterr().out.split() == list(rx.losses.WEIGHTINGS)


def test_what_is_not_among_the_choices_is_told_with_all_that_are():
    for argument, known in CHOICES.items():
        name = next(iter(known))
        with pytest.raises(ValueError, match=rf"{argument}='{name}x' .* Did you mean '{name}'\?") as caught:
            pick(argument, name + "x", known)
        assert all(repr(other) in str(caught.value) for other in known)


def test_no_list_stands_in_the_code_twice():
    """A literal, tuple or dict of three names of a registry or more is a second copy of it.

    The experiments compare several, each with its reason, and are no list of them.
    """
    for path in set(PACKAGE.rglob("*.py")) - set(PACKAGE.glob("experiments/**/[a-z]*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            parts = [node.keys, node.values] if isinstance(node, ast.Dict) else [getattr(node, "elts", [])]
            names = {
                c.value for part in parts for c in part if isinstance(c, ast.Constant) and isinstance(c.value, str)
            }
            for argument, known in CHOICES.items():
                repeated = sorted(names & set(known))
                home = path.relative_to(PACKAGE).as_posix() in HOMES[argument]
                assert home or len(repeated) < 3, f"{path}:{node.lineno} repeats {repeated}"


def test_statuses_say_what_they_mean():
    assert all(status.meaning for status in rx.FitStatus)


def public():
    """All public functions and methods, with their docstrings."""
    for module in (getattr(rx, name) for name in rx.__all__ if inspect.ismodule(getattr(rx, name))):
        for name in getattr(module, "__all__", ()):
            value = getattr(module, name)
            methods = vars(value).items() if inspect.isclass(value) else ()
            for method, of in [("", value), *((f".{m}", of) for m, of in methods if not m.startswith("_"))]:
                yield f"{module.__name__}.{name}{method}", inspect.getdoc(of) or ""


def test_everything_that_is_raised_can_be_imported():
    section = re.compile(r"^Raises\n-+\n(.*?)(?=^\w[\w ]+\n-+$|\Z)", re.DOTALL | re.MULTILINE)
    raised = set()
    for where, text in public():
        for found in section.findall(text):
            names = re.findall(r"^(\w+)$", found, re.MULTILINE)
            assert names, where
            assert all(hasattr(builtins, name) or hasattr(rx.errors, name) for name in names), f"{where}: {names}"
            raised.update(names)
    assert {"ValueError", "TypeError", "MissingExtraError"} <= raised
