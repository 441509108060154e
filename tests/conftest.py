"""Fixtures of all tests."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jaxtyping
import numpy as np
import pytest
import torch

pytest.register_assert_rewrite("bad_inputs", "cohorts")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell starts what it puts into the background
    signal.signal(signal.SIGINT, signal.default_int_handler)

DATA = Path(os.environ.get("RELAXNET_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture
def as_user() -> Iterator[None]:
    """Meet the library as its users do: without the shape checks that the tests run with, which would answer first."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def real_data() -> Callable[[str], dict[str, Any]]:
    """Read one of the real acquisitions, or skip the test where they are not at hand."""

    def read(name: str) -> dict[str, Any]:
        path = DATA / name
        if not path.exists():
            pytest.skip(f"{name} is not in {DATA}; set RELAXNET_TEST_DATA to the folder that holds it")
        with np.load(path) as file:
            return dict(file)

    return read


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(1)
