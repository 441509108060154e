"""The campaigns find what they look for."""

import importlib
import random
import sys
from pathlib import Path

import pytest

CAMPAIGNS = Path(__file__).parents[1] / "campaigns"
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the campaigns need POSIX")


@pytest.fixture
def campaign(monkeypatch):
    monkeypatch.syspath_prepend(CAMPAIGNS)
    return importlib.import_module


def test_kill_tells_a_mixture_from_a_whole(campaign, tmp_path):
    kill = campaign("kill")
    sets, wholes = {"a.json": r"a.*"}, []
    for text in ("old", "new"):
        for name in ("a.json", "a.nii", "b.nii"):
            (tmp_path / name).write_text(text)
        wholes.append(kill.tree(tmp_path))
    assert kill.mixtures(tmp_path, sets, *wholes) == []
    (tmp_path / "b.nii").write_text("of another set")
    (tmp_path / ".0-1-2-0.tmp-a.nii").touch()
    assert kill.mixtures(tmp_path, sets, *wholes) == []
    (tmp_path / "a.nii").write_text("old")
    assert kill.mixtures(tmp_path, sets, *wholes) == ["a.json"]
    (tmp_path / "a.json").unlink()
    assert kill.mixtures(tmp_path, sets, *wholes) == []


def test_kill_ignores_when_a_result_was_made_and_nothing_else(campaign, tmp_path):
    kill, texts = (
        campaign("kill"),
        ('{"time": 1, "a": [2]}', '{"time": 2, "a": [2]}', '{"time": 2, "a": [3]}', '{"time"'),
    )
    digests = []
    for text in texts:
        (tmp_path / "result.json").write_text(text)
        digests.append(kill.digest(tmp_path / "result.json"))
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


def raises(error):
    def read(_):
        raise error

    return read


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("{folder}/a.nii: it is damaged.", "refused"),
        ("it is damaged.", "a message that names no file"),
        ("{folder}\na.nii", "a message of several lines"),
        ("{folder} \x1b[2J", "a message that cannot be printed"),
        ("{folder}" + "a" * 2000, "a long message"),
    ],
)
def test_fuzz_knows_a_good_message(campaign, tmp_path, said, kind):
    fuzz = campaign("fuzz")
    assert fuzz.attempt(raises(ValueError(said.format(folder=tmp_path))), tmp_path)[0] == kind
    assert fuzz.attempt(raises(KeyError(said)), tmp_path)[0] == "KeyError in the campaign"
    assert fuzz.attempt(lambda _: None, tmp_path) == ("usable", "")


def test_fuzz_damages_alike_what_has_the_same_number(campaign, tmp_path):
    fuzz, damage = campaign("fuzz"), campaign("damage")
    for name in ("scan", "sidecar", "tissue table", "protocol"):
        (tmp_path / name).mkdir()
        fuzz.READERS[name].make(tmp_path / name)
    for path in tmp_path.rglob("*.*"):
        content = path.read_bytes()
        cases = [[damage.knowingly(path.name, content, random.Random(k)) for k in range(20)] for _ in range(2)]
        assert cases[0] == cases[1]
        assert len(set(cases[0])) > 10
