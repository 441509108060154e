"""T1, T2* and diffusion of the tissues: what the phantom needs for contrasts other than T1rho and T2.

T1 at 3 T is that of the abstract of de Bazelaire et al. where they measured it; at 1.5 T it is that divided by 1.21,
the mean ratio that the abstract gives. The rest is assumed: enough to try a protocol on, not to quote.
"""

from relaxnet.phantom._tissues import CONTRASTS, DE_BAZELAIRE, FIELDS, Properties, Tissue, Value
from relaxnet.protocol import Protocol

KNOWN = (*CONTRASTS, "t1", "t2star", "adc")
"""Names of all contrasts whose values the phantom knows."""

_FIELD_RATIO = 1.21
_T2STAR = 0.6  # of T2: between that of the liver at 1.5 T (28 of 46 ms) and at 3 T (22 of 34 ms)
_ASSUMED = "assumed"

_T1: dict[Tissue, tuple[float, float, str]] = {
    Tissue.FAT: (382, 13, DE_BAZELAIRE),
    Tissue.MUSCLE: (898, 33, DE_BAZELAIRE),
    Tissue.BONE_MARROW: (586, 73, DE_BAZELAIRE),
    Tissue.CEREBROSPINAL_FLUID: (4000, 300, _ASSUMED),
    Tissue.SPINAL_CORD: (990, 50, _ASSUMED),
    Tissue.LIVER: (809, 71, DE_BAZELAIRE),
    Tissue.BLOOD: (1900, 90, _ASSUMED),
    Tissue.SPLEEN: (1328, 31, DE_BAZELAIRE),
    Tissue.STOMACH: (900, 90, _ASSUMED),
    Tissue.STOMACH_CONTENT: (2000, 300, _ASSUMED),
    Tissue.CYST: (2900, 300, _ASSUMED),
    Tissue.TUMOUR: (1200, 150, _ASSUMED),
    Tissue.KIDNEY_CORTEX: (1142, 154, DE_BAZELAIRE),
    Tissue.KIDNEY_MEDULLA: (1545, 142, DE_BAZELAIRE),
    Tissue.PANCREAS: (725, 71, DE_BAZELAIRE),
    Tissue.GALLBLADDER: (3000, 400, _ASSUMED),
    Tissue.BOWEL_CONTENT: (1200, 250, _ASSUMED),
    Tissue.LUNG: (1300, 100, _ASSUMED),
}
"""T1 at 3 T in ms: mean, standard deviation between subjects, source."""

_ADC: dict[Tissue, float] = {
    Tissue.FAT: 0.3e-3,
    Tissue.MUSCLE: 1.5e-3,
    Tissue.BONE_MARROW: 0.5e-3,
    Tissue.CEREBROSPINAL_FLUID: 3.0e-3,
    Tissue.SPINAL_CORD: 1.0e-3,
    Tissue.LIVER: 1.1e-3,
    Tissue.BLOOD: 2.0e-3,
    Tissue.SPLEEN: 0.8e-3,
    Tissue.STOMACH: 1.5e-3,
    Tissue.STOMACH_CONTENT: 2.5e-3,
    Tissue.CYST: 2.8e-3,
    Tissue.TUMOUR: 1.2e-3,
    Tissue.KIDNEY_CORTEX: 2.2e-3,
    Tissue.KIDNEY_MEDULLA: 1.9e-3,
    Tissue.PANCREAS: 1.3e-3,
    Tissue.GALLBLADDER: 2.9e-3,
    Tissue.BOWEL_CONTENT: 1.8e-3,
    Tissue.LUNG: 1.0e-3,
}
"""Apparent diffusion coefficient in mm²/s; a tenth of it is the standard deviation between subjects."""


def value_of(contrast: str, tissue: Tissue, properties: Properties, field_tesla: float) -> Value:
    """Look up what a tissue has in a contrast.

    Parameters
    ----------
    contrast
        One of :data:`KNOWN`.
    tissue, properties
        The tissue.
    field_tesla
        Field strength in T.

    Returns
    -------
    Value
        Relaxation time in ms, or diffusion coefficient in mm²/s, over the population.
    """
    if contrast in CONTRASTS:
        return properties.t[field_tesla][contrast]
    if contrast == "t2star":
        t2 = properties.t[field_tesla]["t2"]
        return Value(_T2STAR * t2.mean, _T2STAR * t2.sd, f"derived: {_T2STAR:g} x T2")
    if contrast == "adc":
        return Value(_ADC[tissue], 0.1 * _ADC[tissue], _ASSUMED)
    mean, sd, source = _T1[tissue]
    if field_tesla == max(FIELDS):
        return Value(mean, sd, source)
    return Value(mean / _FIELD_RATIO, sd / _FIELD_RATIO, f"derived: 3 T / {_FIELD_RATIO:g}, {source}")


def check_protocol(protocol: Protocol) -> None:
    """Refuse contrasts that the phantom does not know, or that cannot share their first image."""
    unknown = [name for name in protocol.names if name not in KNOWN]
    if unknown:
        raise ValueError(f"protocol has contrasts named {unknown}: the tissues of the phantom have {KNOWN}.")
    if protocol.shared_first:
        protocol.require_common_amplitude()
