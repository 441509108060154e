"""Protocols that have a name.

:data:`LIVER_T1RHO_T2` is that of Huang et al., *Uncertainty-weighted multi-tasking for T1rho and T2 mapping in the
liver with self-supervised learning* (2023): spin-lock times 0, 10, 30, 50 ms and T2 preparation times 0, 18.2, 34.6,
51.0 ms, with one image shared at time 0.
"""

from relaxnet.protocol import Contrast, Protocol

__all__ = ["LIVER_T1RHO_T2"]

LIVER_T1RHO_T2 = Protocol(
    (Contrast("t1rho", times_ms=(0, 10, 30, 50)), Contrast("t2", times_ms=(0, 18.2, 34.6, 51.0))),
    shared_first=True,
)
