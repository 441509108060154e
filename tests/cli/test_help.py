"""Help, version and ``relaxnet info``."""

import shlex
import tomllib
from pathlib import Path

import pytest
from typer.main import get_command

import relaxnet as rx
from relaxnet.cli import _info, main
from relaxnet.cli._app import app
from relaxnet.cli._bids import repeat_labels
from relaxnet.cli._examples import EXAMPLES


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"relaxnet {rx.__version__}\n"


@pytest.mark.parametrize("arguments", [[], ["-h"], ["fit", "--help"], ["fit", "t1rho", "--help"], ["info", "-h"]])
def test_help_is_plain_text(capsys, arguments):
    assert main(arguments) == 0
    text = capsys.readouterr().out
    assert text.startswith("Usage: relaxnet")
    assert text.isascii()


def leaves(command, name=""):
    """Return all commands by their names, without groups."""
    below = getattr(command, "commands", {})
    return {k: v for sub, c in below.items() for k, v in leaves(c, f"{name} {sub}".strip()).items()} or {name: command}


COMMANDS = leaves(get_command(app))


def test_every_command_has_examples():
    assert set(EXAMPLES) == set(COMMANDS)


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_stand_in_the_help_line_by_line_and_can_be_typed(name, capsys):
    assert main([*name.split(), "--help"]) == 0
    shown = [line.strip() for line in capsys.readouterr().out.splitlines()]
    for line in EXAMPLES[name]:
        assert line in shown
        words = shlex.split(line)
        assert words[: 1 + len(name.split())] == ["relaxnet", *name.split()]
        rest = words[1 + len(name.split()) :]
        COMMANDS[name].make_context(name, repeat_labels(["bids", *rest])[1:] if name == "bids" else rest)


def test_info(capsys, monkeypatch):
    monkeypatch.setattr(_info, "extras", lambda: {"train": ["rich"], "io": ["a-package-that-nobody-has"]})
    assert main(["info"]) == 0
    text = capsys.readouterr().out
    for word in (rx.__version__, "Python", "torch", "numpy", "cpu", "cuda", "mps", "rich 1"):
        assert word in text
    assert "a-package-that-nobody-has is missing: pip install 'relaxnet[io]'" in text


def test_info_knows_the_extras_of_the_project():
    file = Path(__file__).parents[2] / "pyproject.toml"
    declared = tomllib.loads(file.read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    found = _info.extras()
    assert set(found) == set(declared) - {"dev", "docs"}
    assert found["io"] == ["nibabel"]
    assert {"lightning", "nibabel", "matplotlib", "typer"} <= set(found["cli"]) <= set(found["all"])
