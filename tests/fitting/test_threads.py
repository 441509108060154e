"""Fits in threads, and in processes that are forked while threads fit."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

import relaxnet as rx

TIMES = (0.0, 10.0, 30.0, 50.0)
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


def fitted(seed):
    signal = np.random.default_rng(seed).uniform(1, 100, (20_000, 4)).astype("f4")
    return rx.fit(signal, TIMES).maps["t"]


@pytest.fixture
def two_threads():
    usual = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(usual)


def own_threads():
    return {thread.ident for thread in threading.enumerate() if thread.name.startswith("relaxnet-fit")}


@pytest.mark.usefixtures("two_threads")
def test_threads_are_kept_from_one_fit_to_the_next():
    """A thread that ends holds a lock of the matrix library for a moment, which a fork would keep for ever."""
    fitted(0)
    first = own_threads()
    assert first
    with ThreadPoolExecutor(2) as users:
        list(users.map(fitted, range(3)))
    assert own_threads() >= first
    assert len(own_threads()) <= 2


FORKED = """
import multiprocessing, os, sys, warnings
from concurrent.futures import ThreadPoolExecutor
import numpy as np, torch
import relaxnet as rx

warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads
torch.set_num_threads(2)

def fitted(seed):
    signal = np.random.default_rng(seed).uniform(1, 100, (20_000, 4)).astype("f4")
    rx.fit(signal, (0.0, 10.0, 30.0, 50.0 + os.getpid() % 1000))  # times that the other process has never seen
    return rx.fit(signal, (0.0, 10.0, 30.0, 50.0)).maps["t"]

if sys.argv[1] == "threads":
    with ThreadPoolExecutor(4) as users:
        expected = list(users.map(fitted, range(4)))
else:
    expected = list(map(fitted, range(4)))
with multiprocessing.get_context("fork").Pool(2) as pool:
    try:
        found = pool.map_async(fitted, range(4)).get(200)
    except RuntimeError as error:
        print(error)
    else:
        print(all(np.array_equal(*pair, equal_nan=True) for pair in zip(found, expected)))
"""


@forks
@pytest.mark.parametrize(("where", "says"), [("main", "True"), ("threads", "get_context('spawn')")])
def test_row_89_a_forked_pool_has_the_same_results_or_refuses(where, says):
    """A lock that a thread of the user's may have held at the fork cannot be released: better no fit than a hang."""
    done = subprocess.run(
        [sys.executable, "-c", FORKED, where], capture_output=True, text=True, timeout=300, check=True
    )
    assert says in done.stdout


@forks
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_fork_waits_for_the_fits_of_other_threads():
    inside, go_on, forked = threading.Event(), threading.Event(), threading.Event()

    class Slow(rx.fitting.Estimator):
        def estimate(self, samples):
            inside.set()
            go_on.wait(60)
            ones = torch.ones_like(samples.values[0])
            return rx.fitting.Estimate(torch.stack((ones, 40 * ones)), torch.zeros_like(ones, dtype=torch.int64))

    def fork():
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
        forked.set()

    fit = threading.Thread(target=lambda: rx.fitting.run(Slow, torch.ones(1, 4), TIMES))
    other = threading.Thread(target=fork)
    fit.start()
    assert inside.wait(60)
    other.start()
    assert not forked.wait(0.2)
    go_on.set()
    assert forked.wait(60)
    fit.join()
    other.join()
