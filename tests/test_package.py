"""What a user meets before any function is called."""

import subprocess
import sys

import pytest

import relaxnet as rx
from relaxnet.errors import MissingExtraError, look_for, require


def test_import_loads_no_extra_and_not_even_torch():
    code = "import sys, relaxnet; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "relaxnet" in modules
    assert not {"lightning", "matplotlib", "nibabel", "typer", "rich", "safetensors", "torch"} & set(modules)


def test_core_loads_no_extra():
    code = (
        "import sys, relaxnet as rx; rx.fit, rx.losses, rx.nets, rx.phantom, rx.metrics, rx.protocols, rx.plots\n"
        "rx.io, rx.load; print(*sys.modules)"
    )
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "torch" in modules
    assert not {"lightning", "matplotlib", "nibabel", "typer", "rich", "safetensors"} & set(modules)


def test_all_public_names_exist():
    assert set(rx.__all__) <= set(dir(rx))
    for name in rx.__all__:
        assert getattr(rx, name) is not None
    with pytest.raises(AttributeError, match="fitt"):
        rx.fitt  # noqa: B018


def test_a_missing_extra_names_its_pip_line():
    with pytest.raises(MissingExtraError, match=r"pip install 'relaxnet\[io\]'"):
        require("a_package_that_nobody_has", extra="io")
    with pytest.raises(MissingExtraError, match=r"pip install 'relaxnet\[plot\]'"):
        look_for("a_package_that_nobody_has", extra="plot")


def test_a_broken_package_is_not_called_missing(tmp_path, monkeypatch):
    (tmp_path / "broken_package.py").write_text("import a_package_that_nobody_has")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="a_package_that_nobody_has") as caught:
        require("broken_package", extra="io")
    assert not isinstance(caught.value, MissingExtraError)
