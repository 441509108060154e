"""What a user meets before any function is called."""

import inspect
import subprocess
import sys

import numpy as np
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
    assert not {"lightning", "matplotlib", "nibabel", "typer", "rich"} & set(modules)


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


def test_signatures_show_every_keyword():
    public = [rx.fit, rx.fit_joint, rx.fit_spatial, rx.load, rx.phantom.liver_cohort, rx.denoise.low_rank]
    public += [choice.load() for choice in rx.fitting.METHODS.values()]
    public += [rx.training.train, rx.training.Trained.predict, rx.training.Trained.save_pretrained]
    for function in public:
        kinds = {parameter.kind for parameter in inspect.signature(function).parameters.values()}
        assert not kinds & {inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL}, function
    assert {"pair", "weights", "sigma", "dim"} <= set(inspect.signature(rx.fit).parameters)


def test_what_belongs_to_one_method_is_refused_by_the_others():
    signal, times = np.ones((1, 4)), (0, 10, 30, 50)
    with pytest.raises(TypeError, match="method='nlls' takes no argument 'pair': it belongs to 'two-point'"):
        rx.fit(signal, times, pair=(0, 1))
    with pytest.raises(TypeError, match="takes no argument 'weights': it belongs to 'log-linear'"):
        rx.fit(signal, times, method="rician", weights=None)
