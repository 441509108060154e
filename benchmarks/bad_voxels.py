"""What relaxnet and other packages make of voxels that cannot be fitted: ``make bench-bad-voxels``.

Each voxel is fitted beside clean ones of 40 ms, by the nonlinear fit of a decay that a package offers. Other packages
have environments of their own: called with the name of a package, this prints what that package finds. Writes
``results/bad_voxels.json`` and ``.md``.
"""

import argparse
import json
import math
import subprocess
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np

RESULTS = Path(__file__).parent / "results" / "bad_voxels.json"
TIMES_MS = (10.0, 20.0, 40.0, 60.0)
CLEAN = 1000 * np.exp(-np.array(TIMES_MS) / 40)
VOXELS = {
    "a clean decay of 40 ms": CLEAN,
    "one sample is NaN": np.where(np.arange(4) == 2, np.nan, CLEAN),
    "zeros": np.zeros(4),
    "a constant": np.full(4, 500.0),
    "a rise": CLEAN[::-1].copy(),
}


def fit_relaxnet(signal: np.ndarray) -> list[str]:
    """Fit voxels (voxel, time), and tell T in ms, or the status where there is none or it is at a bound."""
    import relaxnet as rx  # noqa: PLC0415 (each package is in an environment of its own)

    result = rx.fit(signal, TIMES_MS, dim=-1)
    told = [f"{t:.4g}, `{rx.FitStatus(s).name}`" for t, s in zip(result.maps["t"], result.status, strict=True)]
    return [text.replace("nan", "NaN").replace(", `CONVERGED`", "") for text in told]


def fit_qmrpy(signal: np.ndarray) -> list[str]:
    """Do so by qmrpy."""
    from qmrpy.models.t1rho import T1Rho  # noqa: PLC0415

    found = T1Rho(tsl_ms=np.array(TIMES_MS)).fit_image(signal, mask=np.ones(len(signal), bool))
    return [f"{t:.4g}" for t in np.ravel(found["t1rho_ms"])]


def fit_ukat(signal: np.ndarray) -> list[str]:
    """Do so by ukat."""
    from ukat.mapping.t2 import T2  # noqa: PLC0415

    found = T2(signal[:, None, None], np.array(TIMES_MS), np.eye(4), method="2p_exp", multithread=False)
    return [f"{t:.4g}" for t in np.ravel(found.t2_map)]


def fit_tedana(signal: np.ndarray) -> list[str]:
    """Do so by the nonlinear fit of tedana."""
    from tedana.decay import fit_decay  # noqa: PLC0415

    mask = np.full(len(signal), len(TIMES_MS))
    t, _, failed, *_ = fit_decay(signal[:, :, None], list(TIMES_MS), mask, "curvefit", report=False)
    told = [f"{value:.4g}" for value in np.ravel(t)]
    return [f"{text}, told as failed" if bad else text for text, bad in zip(told, np.ravel(failed), strict=True)]


FITS = {"relaxnet": fit_relaxnet, "qmrpy": fit_qmrpy, "ukat": fit_ukat, "tedana": fit_tedana}


def judge(package: str) -> dict[str, str]:
    """Fit each voxel beside clean ones by a package; what is raised costs them, too."""
    found = {}
    for name, voxel in VOXELS.items():
        try:
            bad, *clean = FITS[package](np.stack([voxel, CLEAN, CLEAN]))
        except Exception as error:  # noqa: BLE001 (whatever a package raises is its answer)
            found[name] = f"`{type(error).__name__}`, no map"
        else:
            spoilt = not all(math.isclose(float(t.partition(",")[0]), 40, rel_tol=0.01) for t in clean)
            found[name] = f"{bad}; its neighbours, too" if spoilt else bad
    return found


def table(outcome: dict[str, dict[str, str]]) -> str:
    """Write what was found as a Markdown table."""
    packages = outcome["found"]
    header = " | ".join(f"{name} {outcome['versions'][name]}" for name in packages)
    lines = [f"| T (ms) of | {header} |", f"| :--- |{' :--- |' * len(packages)}"]
    lines += [f"| {name} | {' | '.join(found[name] for found in packages.values())} |" for name in VOXELS]
    return "\n".join(lines)


def main() -> None:
    """Ask all packages, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("package", nargs="?", choices=FITS, help="print what this package finds")
    parser.add_argument(
        "--of", nargs=2, action="append", default=[], metavar=("NAME", "PYTHON"), help="who has another"
    )
    arguments = parser.parse_args()
    if arguments.package:
        warnings.simplefilter("ignore")
        print(json.dumps({"version": version(arguments.package), "found": judge(arguments.package)}))
        return
    told = {"relaxnet": {"version": version("relaxnet"), "found": judge("relaxnet")}}
    for name, python in arguments.of:
        command = [python, __file__, name]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        told[name] = json.loads(printed.splitlines()[-1])
    outcome = {part: {name: one[key] for name, one in told.items()} for part, key in
               (("versions", "version"), ("found", "found"))}  # fmt: skip
    RESULTS.write_text(json.dumps(outcome, indent=2) + "\n", encoding="utf-8")
    RESULTS.with_suffix(".md").write_text(table(outcome) + "\n", encoding="utf-8")
    print(table(outcome))


if __name__ == "__main__":
    main()
