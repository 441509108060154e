"""Relaxation times and signal amplitudes of the tissues, with their sources.

Each tissue has T1rho and T2 in ms at 1.5 T and 3 T. The spin lock of T1rho is at 400 Hz unless the source says
otherwise. A source that begins with *derived* or *assumed* marks a value for which no measurement was found. The values
of de Bazelaire et al. at 3 T are those of the abstract. Those at 1.5 T come from two public tables, SpinSight and
XCAT_to_MR_DCE.m (Roy), because the paper itself was not available; what these tables give for the same tissues at 3 T,
T1 included, agrees with the abstract.
"""

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Tissue(IntEnum):
    """Tissues of the phantom: the values of its label maps.

    Examples
    --------
    >>> rx.phantom.Tissue(6).name
    'LIVER'
    """

    AIR = 0
    """Outside the body, and gas in stomach and bowel: no signal and no relaxation time."""
    FAT = 1
    """Fat under the skin and between the organs; fat suppression leaves part of its signal."""
    MUSCLE = 2
    """Abdominal wall, diaphragm and back muscles."""
    BONE_MARROW = 3
    """Vertebrae and ribs."""
    CEREBROSPINAL_FLUID = 4
    """Fluid of the spinal canal."""
    SPINAL_CORD = 5
    """Spinal cord."""
    LIVER = 6
    """Liver parenchyma."""
    BLOOD = 7
    """Blood in all vessels; a dark-blood sequence suppresses it."""
    SPLEEN = 8
    """Spleen."""
    STOMACH = 9
    """Wall of stomach, bowel and gallbladder."""
    STOMACH_CONTENT = 10
    """Content of the stomach."""
    CYST = 11
    """Cyst of the liver."""
    TUMOUR = 12
    """Malignant tumour of the liver."""
    KIDNEY_CORTEX = 13
    """Cortex of the kidney, including the columns between its pyramids."""
    KIDNEY_MEDULLA = 14
    """Pyramids of the kidney."""
    PANCREAS = 15
    """Pancreas."""
    GALLBLADDER = 16
    """Bile in the gallbladder."""
    BOWEL_CONTENT = 17
    """Content of the bowel."""
    LUNG = 18
    """Base of the lung, behind and above the liver."""


class Disease(StrEnum):
    """Diffuse disease of the liver.

    Examples
    --------
    >>> rx.phantom.Disease("fibrosis")
    <Disease.FIBROSIS: 'fibrosis'>
    """

    HEALTHY = "healthy"
    """Healthy liver."""
    STEATOSIS = "steatosis"
    """Fatty liver: T1rho and T2 as in a healthy liver, less signal with fat suppression."""
    FIBROSIS = "fibrosis"
    """Fibrosis of stages F1 to F3: T1rho and T2 are longer."""
    CIRRHOSIS = "cirrhosis"
    """Fibrosis of stage F4: T1rho and T2 are longer still, the texture is coarser, the surface nodular and the spleen
    enlarged."""
    IRON = "iron"
    """Iron overload: T1rho and T2 are short and strongly correlated."""


DE_BAZELAIRE = "de Bazelaire et al., Radiology 230:652 (2004)"
_STANISZ = "Stanisz et al., Magn Reson Med 54:507 (2005); sd assumed"
_SEIBERLICH = "tissue table of Abdominal_MR_Phantom (Seiberlich lab); sd assumed"
_SPINSIGHT = DE_BAZELAIRE + ", as in the tissue table of SpinSight; sd {}"
_ROY = DE_BAZELAIRE + ", as in the tissue table of XCAT_to_MR_DCE.m (Roy); sd {}"
_MCFARLAND = "McFarland et al., Radiology 193:43 (1994), 1.5 T"
_XIE = "Xie et al., Korean J Radiol 18:898 (2017), 3 T"
_TRANSL_MED = "J Transl Med 13:292 (2015), 1.5 T, 500 Hz"
_FIBROSIS_T2 = "derived: healthy + 7 to 9 % with stage, ISMRM 2010 #259, 1.5 T"
_FIBROSIS_T1RHO = "derived: healthy at 1.5 T x fibrosis / healthy at 3 T"
_F4 = "derived: healthy + 10.5 ms, meta-analysis of 11 studies, Diagn Interv Radiol 2025.253325; sd of fibrosis"
_IRON = "Acta Radiol, doi 10.1177/0284185117715285: {} ms over patients; sd is a quarter of this range"
_GRAFT = "Mount Sinai: functioning kidney grafts, 1.5 T"
_BY_FIELD = "derived: 3 T / 0.92, the mean ratio over tissues of " + DE_BAZELAIRE
_T1RHO = "derived: 1.3 x T2"
_AS_HEALTHY = "derived: as in health; no difference found at 1.5 T"


CONTRASTS = ("t1rho", "t2")
"""Contrasts of the table."""

FIELDS = (1.5, 3.0)
"""Field strengths of the table in T."""


@dataclass(frozen=True)
class Value:
    """Distribution of a relaxation time over the population."""

    mean: float
    """Mean in ms."""
    sd: float
    """Standard deviation between subjects in ms."""
    source: str
    """Publication, or how the value was derived."""


@dataclass(frozen=True)
class Properties:
    """Signal properties of a tissue."""

    m0: float
    """Amplitude at time 0 relative to healthy liver; assumed, as it depends on the sequence."""
    t: dict[float, dict[str, Value]]
    """Relaxation times by field strength in T and name of the contrast."""
    texture: float
    """Relative standard deviation of relaxation times within the tissue; assumed."""
    correlation: float
    """Correlation of T1rho and T2, between subjects and within the tissue; assumed."""


Measured = Value | tuple[Value, Value]
"""T2 alone, or T1rho and T2."""


def _tissue(
    m0: float, low: Measured, high: Measured | None = None, *, texture: float = 0.03, correlation: float = 0.5
) -> Properties:
    """Make the properties of a tissue from its values at 1.5 T and at 3 T, by default the same."""
    t = {}
    for field, measured in zip(FIELDS, (low, high or low), strict=True):
        # Where T1rho was not measured: liver (44.9 / 34) and kidney cortex (99 / 76) both have 1.3 times their T2.
        t1rho, t2 = measured if isinstance(measured, tuple) else (None, measured)
        t[field] = {"t1rho": t1rho or Value(1.3 * t2.mean, 1.3 * t2.sd, _T1RHO), "t2": t2}
    return Properties(m0, t, texture, correlation)


LIVER: dict[Disease, Properties] = {
    Disease.HEALTHY: _tissue(
        1.0,
        (Value(51.0, 3.1, _TRANSL_MED), Value(46, 6, _SPINSIGHT.format("unchecked"))),
        (Value(44.9, 2.8, _XIE), Value(34, 4, DE_BAZELAIRE)),
    ),
    Disease.STEATOSIS: _tissue(
        0.85,  # its fat fraction was 16 %
        (Value(51.0, 3.9, "derived: as in health, as at 3 T; " + _TRANSL_MED), Value(46, 6, _AS_HEALTHY)),
        (Value(45.0, 3.5, _XIE), Value(34, 4, _AS_HEALTHY)),
    ),
    Disease.FIBROSIS: _tissue(
        1.0,
        (Value(59.7, 7.7, _FIBROSIS_T1RHO), Value(49.2, 6.4, _FIBROSIS_T2)),
        (Value(52.6, 6.8, _XIE), Value(36.4, 4.3, _FIBROSIS_T2)),
        texture=0.04,
    ),
    Disease.CIRRHOSIS: _tissue(
        1.0,
        (Value(62.9, 7.7, _FIBROSIS_T1RHO), Value(50.1, 6.5, _FIBROSIS_T2)),
        (Value(55.4, 6.8, _F4), Value(37.1, 4.4, _FIBROSIS_T2)),
        texture=0.06,
    ),
    Disease.IRON: _tissue(
        1.0,
        Value(19.1, 3.3, _IRON.format("14.8 to 27.9")),
        Value(15.5, 1.5, _IRON.format("14.6 to 20.4")),
        correlation=0.9,  # iron shortens both
    ),
}
"""The liver, healthy and diseased."""

TISSUES: dict[Tissue, Properties] = {
    Tissue.FAT: _tissue(0.16, Value(74, 4, _BY_FIELD), Value(68, 4, DE_BAZELAIRE)),
    Tissue.MUSCLE: _tissue(0.75, Value(27, 4, _SPINSIGHT.format("of 3 T")), Value(29, 4, DE_BAZELAIRE)),
    Tissue.BONE_MARROW: _tissue(0.40, Value(49, 4, _ROY.format("of 3 T")), Value(49, 4, DE_BAZELAIRE)),
    Tissue.CEREBROSPINAL_FLUID: _tissue(1.30, Value(2000, 200, "assumed: textbook value")),
    Tissue.SPINAL_CORD: _tissue(0.90, Value(74, 4, _STANISZ), Value(78, 4, _STANISZ)),
    Tissue.BLOOD: _tissue(0.06, Value(290, 25, _STANISZ), Value(275, 25, _STANISZ)),
    Tissue.SPLEEN: _tissue(1.05, Value(79, 15, _SPINSIGHT.format("unchecked")), Value(61, 9, DE_BAZELAIRE)),
    Tissue.STOMACH: _tissue(0.85, Value(100, 10, _SEIBERLICH)),
    Tissue.STOMACH_CONTENT: _tissue(0.60, Value(300, 60, "assumed: a watery meal")),
    Tissue.CYST: _tissue(1.20, Value(341, 38, _MCFARLAND)),
    Tissue.TUMOUR: _tissue(1.05, Value(76, 11, _MCFARLAND)),
    Tissue.KIDNEY_CORTEX: _tissue(
        1.10,
        (Value(99.0, 11.0, _GRAFT), Value(87, 4, _SPINSIGHT.format("unchecked"))),
        (Value(98.8, 9.1, _T1RHO), Value(76, 7, DE_BAZELAIRE)),
    ),
    Tissue.KIDNEY_MEDULLA: _tissue(
        1.20,
        (Value(124.3, 20.8, _GRAFT), Value(85, 11, _SPINSIGHT.format("unchecked"))),
        (Value(105.3, 10.4, _T1RHO), Value(81, 8, DE_BAZELAIRE)),
    ),
    Tissue.PANCREAS: _tissue(0.90, Value(46, 6, _ROY.format("unchecked")), Value(43, 7, DE_BAZELAIRE), texture=0.06),
    Tissue.GALLBLADDER: _tissue(1.25, Value(500, 80, "assumed: bile, a watery fluid"), texture=0.01),
    Tissue.BOWEL_CONTENT: _tissue(0.50, Value(120, 30, "assumed: thicker than the stomach's"), texture=0.10),
    Tissue.LUNG: _tissue(0.05, Value(41, 5, "assumed: little water among much air")),
}
"""Every tissue with signal but the liver, whose values depend on :class:`Disease`."""
