"""What manufacturers of scanners write into private elements of DICOM files, in the place of public ones."""

import re
from collections.abc import Callable
from typing import Any, NamedTuple


class VendorField(NamedTuple):
    """A private element that holds what the images of a series may differ in."""

    key: str
    """The key of a sidecar that it stands for."""
    vendor: str
    tag: tuple[int, int]
    read: Callable[[Any], float | None]
    """Reads its value: times in ms."""


def _plain(value: Any) -> float | None:
    try:
        return float(value[0] if hasattr(value, "__len__") and not isinstance(value, str | bytes) else value)
    except (TypeError, ValueError, IndexError):
        return None


def _of_ge(value: Any) -> float | None:
    """Take the b-value out of a number to which newer software adds 1e9."""
    found = _plain(value)
    return None if found is None else found % 100_000


def _t2_preparation(value: Any) -> float | None:
    """Take the duration of the T2 preparation out of the protocol, which is text within a binary header."""
    content = value if isinstance(value, bytes) else str(value).encode("latin-1", "replace")
    match = re.search(rb"sPrepPulses\.adT2PrepDuration\[0\]\s*=\s*([0-9.]+)", content)
    return float(match[1]) if match else None


VENDOR_FIELDS = (
    VendorField("DiffusionBValue", "Siemens", (0x0019, 0x100C), _plain),
    VendorField("DiffusionBValue", "GE", (0x0043, 0x1039), _of_ge),
    VendorField("DiffusionBValue", "Philips", (0x2001, 0x1003), _plain),
    VendorField("T2PreparationTime", "Siemens", (0x0029, 0x1020), _t2_preparation),
)


def read_vendor_fields(dataset: Any) -> dict[str, tuple[float, str]]:
    """Return what private elements of an image hold, by the key of a sidecar, and where it stood."""
    manufacturer, found = str(dataset.get("Manufacturer", "")).lower(), {}
    for field in VENDOR_FIELDS:
        element = dataset.get(field.tag)
        if element is None or (manufacturer and field.vendor.lower() not in manufacturer):
            continue
        value = field.read(element.value)
        if value is not None and field.key not in found:
            place = "({:04X},{:04X})".format(*field.tag)
            found[field.key] = value, f"the private element {place} of {field.vendor}"
    return found
