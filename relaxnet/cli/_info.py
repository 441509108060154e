"""``relaxnet info``: what is installed here, and what it can compute on."""

import os
import platform
import re

from relaxnet._version import __version__
from relaxnet.cli._common import Answer
from relaxnet.errors import how_to_install


def info() -> Answer:
    """Show versions, extras and devices."""
    import numpy as np  # noqa: PLC0415 (help does not wait for it)
    import torch  # noqa: PLC0415

    held: dict[str, str | dict[str, str]] = {
        "relaxnet": __version__,
        "Python": f"{platform.python_version()} on {platform.platform()}",
        "torch": torch.__version__,
        "numpy": np.__version__,
        "extras": {name: _extra(name, packages) for name, packages in extras().items()},
        "devices": {
            "cpu": f"{torch.get_num_threads()} threads on {os.cpu_count()} cores",
            "cuda": ", ".join(map(torch.cuda.get_device_name, range(torch.cuda.device_count()))) or "none",
            "mps": "present" if torch.backends.mps.is_available() else "none",
        },
    }
    lines = []
    for name, value in held.items():
        lines += (
            [f"{name:<10}{value}"] if isinstance(value, str) else [name, *(f"  {k:<12}{v}" for k, v in value.items())]
        )
    return Answer("\n".join(lines), held)


def extras() -> dict[str, list[str]]:
    """List the packages that each extra brings, from the metadata of this installation.

    Returns
    -------
    dict
        Names of packages by extra; extras for developers are left out.
    """
    from importlib.metadata import metadata, requires  # noqa: PLC0415

    found: dict[str, list[str]] = {name: [] for name in metadata("relaxnet").get_all("Provides-Extra") or ()}
    for requirement in requires("relaxnet") or ():
        package, _, condition = requirement.partition(";")
        extra = re.search(r"extra == ['\"]([^'\"]+)", condition)
        if extra:
            found[extra[1]].append(package.strip())
    plain = {name: [re.split(r"[<>=!~ ]", package)[0] for package in packages] for name, packages in found.items()}

    def flat(name: str) -> list[str]:
        parts = [re.fullmatch(r"relaxnet\[(.+)\]", package) for package in plain[name]]
        own = [package for package, part in zip(plain[name], parts, strict=True) if part is None]
        return [*(p for part in parts if part for extra in part[1].split(",") for p in flat(extra)), *own]

    return {name: list(dict.fromkeys(flat(name))) for name in plain if name not in ("dev", "docs")}


def _extra(name: str, packages: list[str]) -> str:
    """Return the versions of the packages of an extra, or how to get what is missing."""
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415

    found = []
    for package in packages:
        try:
            found.append(f"{package.partition('[')[0]} {version(package.partition('[')[0])}")
        except PackageNotFoundError:
            return f"{package} is missing: {how_to_install(name)}"
    return ", ".join(found)
