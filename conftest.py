"""Set-up shared by the tests and by the examples in docstrings."""

import math
import os
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from hypothesis import settings

import relaxnet as rx

_KERNELS = {"numba": "kernels", "triton": "decay_triton.py"}
collect_ignore = [f"relaxnet/fitting/_core/{name}" for package, name in _KERNELS.items() if not find_spec(package)]
settings.register_profile("relaxnet", deadline=None, derandomize=True)  # torch's first call can take a second
settings.load_profile("relaxnet")


def pytest_configure(config: pytest.Config) -> None:
    """Give each worker one thread: workers are the parallelism, and waiting threads of matrix libraries take the cores.

    The libraries read it when they are loaded, which plugins do in a worker before any of our code runs there.
    """
    if config.getoption("numprocesses", None):
        os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def _names_of_docstrings(doctest_namespace: dict[str, object]) -> None:
    doctest_namespace.update(math=math, np=np, rx=rx, torch=torch)
