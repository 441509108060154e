import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

from relaxnet.experiments._harness.steps import Step, _minutes, run_steps, workers


def square(path, *, number):
    with path.with_suffix(".calls").open("a") as stream:
        stream.write(f"{os.getpid()}\n")
    path.write_text(str(number**2))
    return {"square": number**2}


def add(*paths, bonus):
    return sum(int(path.read_text()) for path in paths) + bonus


def fail(*, number):
    raise RuntimeError(f"failed: {number}")


def squares(*numbers):
    return tuple(Step(f"square of {n}", square, {"number": n}, keeps=".txt") for n in numbers)


def calls(folder):
    return sum(len(path.read_text().splitlines()) for path in folder.glob("*.calls"))


@pytest.fixture(scope="module")
def pool():
    """Two workers for all tests: each has to import torch."""
    with workers(2) as some:
        yield some


def test_what_is_needed_is_computed_first_and_once(tmp_path, pool):
    few = squares(2, 3)
    total = Step("sum", add, {"bonus": 1}, needs=few)
    other = Step("sum", add, {"bonus": 2}, needs=few)
    outcomes = run_steps([total, other], tmp_path, pool)
    assert (outcomes[total.key], outcomes[other.key]) == (14, 15)
    assert outcomes[few[0].key] == {"square": 4}
    assert calls(tmp_path) == 2


def test_what_is_there_is_not_computed_again(tmp_path):
    steps, said = squares(2, 3, 4), []
    run_steps(steps[:2], tmp_path)
    outcomes = run_steps(steps, tmp_path, say=said.append)
    assert [outcomes[step.key]["square"] for step in steps] == [4, 9, 16]
    assert calls(tmp_path) == 3
    assert said[0] == "2 of 3 steps have been computed before"
    assert said[1].startswith("square of 4: done, 0 left")
    run_steps(steps, tmp_path)
    assert calls(tmp_path) == 3


def test_time_left_is_that_of_steps_of_the_same_kind():
    quick, slow = squares(1, 2, 3), tuple(Step("slow", sleep, {"number": n}) for n in range(4))
    took = {"square": [1.0, 3.0], "sleep": [60.0]}
    assert _minutes([*quick, *slow], took, elapsed=64) == pytest.approx((3 * 2 + 4 * 60) / 60)
    assert _minutes([*quick, *slow], took, elapsed=32) == pytest.approx((3 * 2 + 4 * 60) / 60 / 2)  # two at a time
    assert _minutes([*slow], {"square": [2.0]}, elapsed=2) == pytest.approx(4 * 2 / 60)
    assert _minutes([], took, elapsed=64) == 0


def test_a_failure_is_raised_and_what_was_done_is_kept(tmp_path):
    good, bad = squares(5)[0], Step("bad", fail, {"number": 1})
    with pytest.raises(RuntimeError, match="failed: 1"):
        run_steps([good, bad], tmp_path)
    assert json.loads((tmp_path / f"{good.key}.json").read_text())["outcome"] == {"square": 25}
    assert not (tmp_path / f"{bad.key}.json").exists()


def test_a_key_is_what_is_computed_not_what_it_is_called():
    step = squares(2)[0]
    assert replace(step, title="other").key == step.key
    assert squares(3)[0].key != step.key
    assert replace(step, function=add).key != step.key
    assert replace(step, needs=squares(1)).key != step.key


@dataclass(frozen=True)
class Several:
    numbers: tuple[int, ...]


def total(*, several):
    return sum(several.numbers)


def test_an_argument_may_be_a_dataclass_which_is_part_of_the_key(tmp_path, pool):
    one, other = (Step("total", total, {"several": Several(numbers)}) for numbers in ((1, 2), (1, 3)))
    assert one.key != other.key
    assert run_steps([one, other], tmp_path, pool) == {one.key: 3, other.key: 4}


def test_what_is_timed_is_alone(tmp_path, pool):
    alone, other = replace(squares(2)[0], alone=True), squares(3)[0]
    run_steps([alone, other], tmp_path, pool)
    here, there = (int((tmp_path / f"{step.key}.calls").read_text()) for step in (alone, other))
    assert here == os.getpid() != there


def sleep(path, *, number):
    path.write_text(str(os.getpid()))
    time.sleep(number)


def test_processes_end_with_the_one_that_started_them(tmp_path):
    script = tmp_path / "run.py"
    script.write_text(
        "import sys, pathlib, importlib.util\n"
        f"spec = importlib.util.spec_from_file_location('steps_of_test', {__file__!r})\n"
        "module = importlib.util.module_from_spec(spec)\n"
        "sys.modules['steps_of_test'] = module\n"
        "spec.loader.exec_module(module)\n"
        "if __name__ == '__main__':\n"
        f"    steps = [module.Step(str(n), module.sleep, {{'number': n}}, keeps='.pid') for n in (600, 601)]\n"
        "    with module.workers(2) as pool:\n"
        f"        module.run_steps(steps, pathlib.Path({str(tmp_path)!r}), pool)\n"
    )
    started = subprocess.Popen([sys.executable, str(script)])
    while len(pids := list(tmp_path.glob("*.pid"))) < 2 or not all(path.read_text() for path in pids):
        assert started.poll() is None
        time.sleep(0.1)
    started.kill()
    started.wait()
    workers = [int(path.read_text()) for path in pids]
    while any(Path(f"/proc/{pid}").exists() for pid in workers):
        time.sleep(0.1)


def threads(*, number):
    return [number, os.environ["OMP_NUM_THREADS"], torch.get_num_threads()]


def test_workers_share_the_cores(tmp_path, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    n = max(os.cpu_count() // 2, 1)
    with workers(2) as pool:
        steps = [Step("threads", threads, {"number": k}) for k in range(2)]
        assert sorted(run_steps(steps, tmp_path, pool).values()) == [[k, str(n), n] for k in range(2)]
    assert "OMP_NUM_THREADS" not in os.environ


def test_workers_go_on_to_other_steps(tmp_path, pool):
    for numbers in ((2, 3, 4), (5, 6)):
        run_steps(squares(*numbers), tmp_path, pool)
    pids = {path.read_text() for path in tmp_path.glob("*.calls")}
    assert calls(tmp_path) == 5
    assert len(pids) <= 2


def test_a_failure_of_a_worker_is_raised(tmp_path):
    with pytest.raises(RuntimeError, match="failed: 1"), workers(2) as pool:
        run_steps([Step("bad", fail, {"number": 1})], tmp_path, pool)


def test_one_at_a_time_is_computed_here(tmp_path):
    with workers(1) as pool:
        run_steps(squares(2), tmp_path, pool)
    assert [int(path.read_text()) for path in tmp_path.glob("*.calls")] == [os.getpid()]


@pytest.mark.usefixtures("as_user")
def test_no_jobs():
    with pytest.raises(ValueError, match="jobs=0: at least one step"), workers(0):
        raise AssertionError


@pytest.mark.parametrize(
    "content",
    [
        "",
        '{"outcome": [1',
        "[]",
        "null",
        "{}",
        "[" * 100_000,
        '{"outcome": {"square": 9}}',
        '{"outcome": 1, "sha256": "0"}',
    ],
    ids=lambda text: text[:9],
)
def test_a_damaged_outcome_is_named(tmp_path, content):
    (step,) = squares(3)
    run_steps([step], tmp_path)
    path = step.file(tmp_path, ".json")
    path.write_text(content)
    with pytest.raises(ValueError, match=rf"{path.name} is damaged: delete it, and the step is computed again"):
        run_steps([step], tmp_path)
    path.unlink()
    assert run_steps([step], tmp_path)[step.key] == {"square": 9}


@dataclass(frozen=True)
class Named:
    name: str
    content: str


def test_an_argument_with_a_name_is_what_it_stands_for():
    one, same, other = (
        Step("named", total, {"several": named}) for named in (Named("a", "x"), Named("b", "x"), Named("a", "y"))
    )
    assert one.key == same.key != other.key
