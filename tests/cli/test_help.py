"""Help, version and ``relaxnet info``."""

import tomllib
from pathlib import Path

import pytest

import relaxnet as rx
from relaxnet.cli import _info, main


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"relaxnet {rx.__version__}\n"


@pytest.mark.parametrize("arguments", [[], ["-h"], ["fit", "--help"], ["fit", "t1rho", "--help"], ["info", "-h"]])
def test_help_is_plain_text(capsys, arguments):
    assert main(arguments) == 0
    text = capsys.readouterr().out
    assert text.startswith("Usage: relaxnet")
    assert text.isascii()


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
