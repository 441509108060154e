"""How the benchmark of the fits is written: as tables, and as a figure of what each input costs."""

from typing import Any

from matplotlib.figure import Figure


def table(outcome: dict[str, Any]) -> str:
    """Write what was measured as Markdown tables."""
    columns = {
        "torch": "torch",
        "compiled": "compiled (`fast`)",
        "control": "scalar loop in numba, maps only",
        "tissue instead": "as many voxels of tissue, same times, compiled",
    }
    lines = [f"| ns a voxel | {' | '.join(columns.values())} |", "| :--- |" + " ---: |" * len(columns)]
    for name, found in outcome["inputs"].items():
        lines.append(f"| {name} | {' | '.join(_number(found.get(column)) for column in columns)} |")
    usual = outcome["methods"]["nlls, torch"]["ns"]
    header = ("ns a voxel", "voxels a second", "nlls, torch = 1", "error of T, median", "99.9th percentile", "failed")
    lines += ["", f"| four images of tissue | {' | '.join(header)} |", "| :--- |" + " ---: |" * len(header)]
    for part in ("yardsticks", "methods", "peers"):
        for name, found in outcome[part].items():
            ns, cells = found["ns"], [""] * 5
            if part != "yardsticks":
                errors = f"{found['median']:.0e}", f"{found['most']:.0e}"
                cells = [_number(1e9 / ns), _number(ns / usual), *errors, f"{found['failed']:,} of {found['voxels']:,}"]
            lines.append(f"| {name} | {' | '.join((_number(ns), *cells))} |")
    lines += ["", "| small inputs, all of it | µs |", "| :--- | ---: |"]
    lines += [f"| {name} | {_number(value / 1000)} |" for name, value in outcome["small"].items()]
    return "\n".join([*lines, *_closer(outcome)])


def _closer(outcome: dict[str, Any]) -> list[str]:
    """Write what threads and memory some inputs take."""
    header = (
        "processor, one thread",
        "two threads",
        "clock, one thread",
        "two threads",
        "bytes a voxel above the input",
    )
    lines = ["", f"| ns a voxel | {' | '.join(header)} |", "| :--- |" + " ---: |" * len(header)]
    for name, found in outcome["threads"].items():
        for how, ns in found.items():
            cells = (*ns.values(), outcome["bytes a voxel"][name][how])
            lines.append(f"| {name}, {how} | {' | '.join(map(_number, cells))} |")
    return lines


def draw(found: dict[str, dict[str, float]]) -> Figure:
    """Draw what each input costs by each implementation."""
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots()
    names = list(found)
    for mark, (column, label) in zip(
        "osx", (("torch", "torch"), ("compiled", "compiled"), ("control", "scalar loop in numba")), strict=True
    ):
        places = [k for k, name in enumerate(names) if column in found[name]]
        axes.semilogx([found[names[k]][column] for k in places], places, mark, label=label)
    axes.set(yticks=range(len(names)), yticklabels=names, xlabel="ns of a processor core a voxel")
    axes.invert_yaxis()
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    return figure


def _number(value: float | None) -> str:
    return "" if value is None else f"{float(f'{value:.2g}'):,.{0 if value >= 10 else 1}f}"
