"""Set-up shared by the tests and by the examples in docstrings."""

import math
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from hypothesis import settings

import relaxnet as rx

_KERNELS = {"numba": "decay_kernel", "triton": "decay_triton"}
collect_ignore = [f"relaxnet/fitting/_core/{name}.py" for package, name in _KERNELS.items() if not find_spec(package)]
settings.register_profile("relaxnet", deadline=None, derandomize=True)  # torch's first call can take a second
settings.load_profile("relaxnet")


@pytest.fixture(autouse=True)
def _names_of_docstrings(doctest_namespace: dict[str, object]) -> None:
    doctest_namespace.update(math=math, np=np, rx=rx, torch=torch)
