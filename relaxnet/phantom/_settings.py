"""The settings that all simulated cohorts have, and their checks."""

import math
from typing import Any

from relaxnet._numbers import seed_of
from relaxnet.phantom._more_values import KNOWN
from relaxnet.phantom._texture import as_texture
from relaxnet.phantom._tissues import FIELDS
from relaxnet.protocol import Protocol


def check_settings(snr: object, seed: object, protocol: object, field_tesla: float, texture: object) -> dict[str, Any]:
    """Return the settings of a cohort, converted; raise an error that names the one that is wrong."""
    try:
        ratio = float(snr)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        ratio = math.nan
    if not ratio > 0:
        raise ValueError(f"snr={snr!r}: give a positive number, such as 20, or math.inf for no noise.")
    if not isinstance(protocol, Protocol):
        raise TypeError(f"protocol={protocol!r} is a {type(protocol).__name__}: pass a relaxnet.Protocol.")
    if unknown := [name for name in protocol.names if name not in KNOWN]:
        raise ValueError(f"protocol has contrasts named {unknown}: the tissues of the phantom have {KNOWN}.")
    if protocol.shared_first:
        protocol.require_common_amplitude()
    if field_tesla not in FIELDS:
        raise ValueError(f"field_tesla={field_tesla!r}: the tissues of the phantom are known at {FIELDS} T.")
    return {
        "snr": ratio,
        "seed": seed_of(seed),
        "protocol": protocol,
        "field_tesla": float(field_tesla),
        "texture": as_texture(texture),
    }
