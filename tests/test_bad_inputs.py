"""What happens to bad inputs is what the table of the documentation says."""

from pathlib import Path

import pytest
from bad_inputs import ROWS, Given, files, fits, networks  # noqa: F401 (the last three add the rows)

TABLE = Path(__file__).parents[1] / "docs" / "generated" / "bad_inputs.md"


@pytest.mark.parametrize("number", [number for number, row in ROWS.items() if callable(row.check)])
@pytest.mark.usefixtures("as_user")
def test_a_row(number, tmp_path, capsys):
    ROWS[number].check(Given(tmp_path, capsys))


def test_every_row_is_tried_here_or_where_it_says():
    assert sorted(ROWS) == list(range(1, 90))
    for check in {row.check for row in ROWS.values() if isinstance(row.check, str) and row.check}:
        file, _, name = check.partition("::")
        assert f"def {name}(" in (Path(__file__).parent / file).read_text(encoding="utf-8"), check


def table():
    """Write down what the rows say."""
    lines = ["| | input | what happens |", "| ---: | :--- | :--- |"]
    lines += [f"| {number} | {ROWS[number].given} | {ROWS[number].outcome} |" for number in sorted(ROWS)]
    return "\n".join(lines) + "\n"


def test_the_table_of_the_documentation_is_this_one():
    assert TABLE.read_text(encoding="utf-8") == table(), "python tests/test_bad_inputs.py writes it anew"


if __name__ == "__main__":
    TABLE.write_text(table(), encoding="utf-8")
