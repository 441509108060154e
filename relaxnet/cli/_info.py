"""``relaxnet info``: what is installed here, and what it can compute on."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version

from relaxnet import __version__

EXTRAS = {
    "train": ("lightning", "rich", "safetensors"),
    "io": ("nibabel",),
    "plot": ("matplotlib",),
    "cli": ("typer",),
    "scale": ("dask", "xarray", "zarr"),
}
"""The packages that each extra brings."""


def info() -> None:
    """Show versions, extras and devices."""
    print("\n".join(describe()))


def describe() -> list[str]:
    """Describe this installation, line by line."""
    import torch  # noqa: PLC0415 (it takes seconds)

    gpus = [torch.cuda.get_device_name(k) for k in range(torch.cuda.device_count())]
    return [
        f"relaxnet  {__version__}",
        f"Python    {platform.python_version()} on {platform.platform()}",
        f"torch     {torch.__version__}",
        f"numpy     {version('numpy')}",
        "extras",
        *(f"  {extra:<8}{_extra(extra)}" for extra in EXTRAS),
        "devices",
        f"  cpu     {torch.get_num_threads()} threads on {os.cpu_count()} cores",
        f"  cuda    {', '.join(gpus) or 'none'}",
        f"  mps     {'present' if torch.backends.mps.is_available() else 'none'}",
    ]


def _extra(name: str) -> str:
    """Tell the versions of the packages of an extra, or how to get what is missing."""
    found = []
    for package in EXTRAS[name]:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            return f"{package} is missing: pip install 'relaxnet[{name}]'"
    return ", ".join(found)
