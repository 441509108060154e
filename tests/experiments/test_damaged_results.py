"""Results that are JSON, and of the experiment, but damaged: found by ``campaigns/fuzz.py``."""

import gzip
import json
from pathlib import Path

import pytest

from relaxnet.experiments import render

RESULTS = Path(__file__).parents[2] / "results" / "laptop-smooth"


def damage_entry(result):
    del result["rows"]["homou"]["entries"][0]["ci95"]


def damage_entries(result):
    result["rows"]["homou"]["entries"][0] = 0


def damage_rows(result):
    result["rows"] = []


def damage_shape(result):
    result["subjects"]["shape"] = [64, 64, 64]


def damage_label(result):
    result["rows"]["homou"]["label"] = "\ud800"


@pytest.mark.parametrize("damage", [damage_entry, damage_entries, damage_rows, damage_shape, damage_label])
@pytest.mark.usefixtures("as_user")
def test_a_damaged_result_is_named_in_one_line(tmp_path, damage):
    result = json.loads((RESULTS / "table3.json").read_text(encoding="utf-8"))
    damage(result)
    (tmp_path / "table3.json").write_text(json.dumps(result), encoding="utf-8")
    with pytest.raises(ValueError, match=r"table3\.json: this is no result that run wrote: ") as error:
        render(tmp_path)
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 1000


@pytest.mark.usefixtures("as_user")
def test_a_damaged_compressed_result_is_named_in_one_line(tmp_path):
    (tmp_path / "fig3.json").write_bytes((RESULTS / "fig3.json").read_bytes())
    result = json.loads(gzip.decompress((RESULTS / "fig3.json.gz").read_bytes()))
    result["rows"] = 0
    (tmp_path / "fig3.json.gz").write_bytes(gzip.compress(json.dumps(result).encode()))
    with pytest.raises(ValueError, match=r"fig3\.json\.gz: this is no result that run wrote: "):
        render(tmp_path)
