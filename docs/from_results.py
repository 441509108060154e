"""Tables of the documentation that compare what was measured."""

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results"
PAPER_TABLE2 = {
    "two-point": (7.51, 5.21),
    "stsm": (3.54, 4.08),
    "st": (3.54, 3.87),
    "sl": (5.11, 4.12),
    "baseline": (3.45, 3.51),
    "heteu": (3.32, 3.32),
    "homou": (3.28, 3.33),
}
"""Table II of Huang et al. (2023), in ms."""


def which_method() -> str:
    """Compare ways to a map by what was measured: errors on a phantom, residuals of real images, and times."""
    smooth, textured, times, real = (
        json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))["rows"]
        for name in ("laptop-smooth/table2", "laptop/table2", "laptop-smooth/table4", "laptop/real")
    )
    rows = []
    for way, images, of_phantom, of_real, of_times in (
        ('{func}`relaxnet.fit`, `"two-point"`', "2 of each", "two-point", "two-point", "two-point"),
        ('{func}`relaxnet.fit`, `"nlls"`', "all", "nlls-4", "nlls", "nlls-4-std"),
        ("{func}`relaxnet.fit_joint`", "all", "joint-7", None, "joint-7"),
        ("{func}`~relaxnet.denoise.non_local_means`, then joint fit", "all", "denoise-then-fit-7", None, None),
        ("the same, then plain fit", "inputs", "denoise-then-fit-3", "non-local-means", None),
        ("{func}`~relaxnet.denoise.low_rank`, then joint fit", "all", "low-rank-then-fit-7", None, None),
        ("the same, then plain fit", "inputs", "low-rank-then-fit-3", "low-rank", None),
        ("{func}`relaxnet.fit_spatial`", "all", "spatial-7", None, None),
        ("the same", "inputs", "spatial-3", "spatial", None),
        ("network, {func}`~relaxnet.training.train`", "inputs", "held-out-orthogonal", "network", "network-std"),
    ):
        of_livers = (_errors(phantom, of_phantom) for phantom in (smooth, textured))
        of_series = [e for e in real[of_real]["entries"] if e["case"] == "native"] if of_real else []
        ratios = {e["series"]: e["ratio"]["mean"] for e in of_series}
        took = 1000 * times[of_times]["entries"][0]["median"] if of_times else None
        rows.append(
            (
                way,
                images,
                *(" / ".join(f"{error:.2f}" for error in errors) or "-" for errors in of_livers),
                f"{min(ratios.values()):.2f} to {max(ratios.values()):.2f}" if ratios else "-",
                "-" if took is None else f"{took:.0f}",
            )
        )
    livers = ("smooth livers, error (ms)", "livers with texture, error (ms)")
    header = ("way to a map", "images", *livers, "real images, residual", "a slice (ms)")
    return table(header, rows)


def paper_table2() -> str:
    """Put Table II of the paper beside that of digital subjects."""
    rows = json.loads((RESULTS / "laptop" / "table2.json").read_text(encoding="utf-8"))["rows"]
    lines = []
    for name, (t1rho, t2) in PAPER_TABLE2.items():
        entries = [e for e in rows[name]["entries"] if e["against"] == "reference"]
        here = {e["contrast"]: e["mean"] for e in entries if e["inputs"] == "mean of input sets"}
        lines.append((rows[name]["label"], f"{t1rho:.2f} / {t2:.2f}", f"{here['t1rho']:.2f} / {here['t2']:.2f}"))
    return table(("T1rho / T2 (ms)", "51 patients, the paper", "51 digital subjects"), lines)


def peers() -> str:
    """Compare what fits of four images of tissue cost beside other packages."""
    text = (ROOT / "benchmarks" / "results" / "fitting.json").read_text(encoding="utf-8")
    measured = json.loads(text)
    tissue = measured["inputs"]["tissue, T 20-80 ms, SNR 50"]
    costs = {
        "{func}`relaxnet.fit`, extra `fast`": tissue["compiled"],
        "{func}`relaxnet.fit`": tissue["torch"],
        **{f"`{name}`" if "curve_fit" in name else name: row["ns"] for name, row in measured["peers"].items()},
    }

    def told(value: float) -> str:
        return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"

    rows = [(name, told(cost / 1000), told(cost / tissue["torch"])) for name, cost in costs.items()]
    return table(("fit of a decay", "µs a voxel", "of `relaxnet.fit`"), rows)


def _errors(rows: dict[str, Any], name: str | None) -> list[float]:
    """Find the errors of both contrasts; none, where there is no such row."""
    return [entry["mean"] for entry in rows[name]["entries"] if _is_error(entry)] if name in rows else []


def _is_error(entry: dict[str, Any]) -> bool:
    """Say whether an entry is the error of a whole row: against the truth, over all input sets."""
    return entry["against"] == "truth" and entry["inputs"] in ("mean of input sets", "all images")


def table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Write a Markdown table.

    Parameters
    ----------
    header
        Titles of the columns.
    rows
        Cells of each row.

    Returns
    -------
    str
        The table.
    """
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"
