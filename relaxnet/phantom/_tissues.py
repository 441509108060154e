"""What each tissue is: its T1rho and T2 in ms at 1.5 T and 3 T, its brightness, and who measured them.

The spin lock of T1rho is at 400 Hz where a source does not say otherwise. A source that begins with *derived* or
*assumed* stands for a value that nobody was found to have measured. The values of de Bazelaire et al. at 3 T are those
of the abstract. Those at 1.5 T come from two public tables, of SpinSight and of Roy (XCAT_to_MR_DCE.m), because the
paper itself was not at hand; what these tables give for the same tissues at 3 T, T1 included, agrees with the abstract.
"""

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Tissue(IntEnum):
    """The tissues of the phantom: the values of its label maps.

    Examples
    --------
    >>> rx.phantom.Tissue(6).name
    'LIVER'
    """

    AIR = 0
    """Outside of the body, and gas in stomach and bowel: no signal, no relaxation time."""
    FAT = 1
    """Fat under the skin and between the organs; the images suppress it, but not wholly."""
    MUSCLE = 2
    """The wall of the abdomen, the diaphragm, and the muscles of the back."""
    BONE_MARROW = 3
    """Vertebra and ribs."""
    CEREBROSPINAL_FLUID = 4
    """Fluid of the spinal canal."""
    SPINAL_CORD = 5
    """Spinal cord."""
    LIVER = 6
    """Liver parenchyma."""
    BLOOD = 7
    """All vessels; the sequence makes them dark."""
    SPLEEN = 8
    """Spleen."""
    STOMACH = 9
    """Wall of stomach, bowel and gallbladder."""
    STOMACH_CONTENT = 10
    """What the stomach holds."""
    CYST = 11
    """Cyst of the liver."""
    TUMOUR = 12
    """Malignant tumour of the liver."""
    KIDNEY_CORTEX = 13
    """Rim of the kidney, and the columns between its pyramids."""
    KIDNEY_MEDULLA = 14
    """Pyramids of the kidney."""
    PANCREAS = 15
    """Pancreas."""
    GALLBLADDER = 16
    """Bile in the gallbladder."""
    BOWEL_CONTENT = 17
    """What the bowel holds."""
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
    """No disease."""
    STEATOSIS = "steatosis"
    """Fatty liver: T1rho and T2 as in health, less signal with fat suppression."""
    FIBROSIS = "fibrosis"
    """Fibrosis of stages F1 to F3: T1rho and T2 are longer."""
    CIRRHOSIS = "cirrhosis"
    """Fibrosis of stage F4: both are longer still, the texture is coarse, the surface nodular, and the
    spleen large."""
    IRON = "iron"
    """Iron overload: T1rho and T2 are short, and vary together."""


@dataclass(frozen=True)
class Value:
    """A relaxation time over the population."""

    mean: float
    """Mean in ms."""
    sd: float
    """Standard deviation between subjects in ms."""
    source: str
    """Who measured it, or how it was derived."""


@dataclass(frozen=True)
class Properties:
    """What a tissue is made of, as far as the images can tell."""

    m0: float
    """Amplitude at time 0 relative to healthy liver. All are assumed: they depend on the sequence."""
    t: dict[float, dict[str, Value]]
    """Relaxation times, by field strength in T and the name of the contrast that measures them."""
    texture: float = 0.03
    """Relative standard deviation of relaxation times within the tissue. All are assumed."""
    correlation: float = 0.5
    """Of T1rho and T2, between subjects and within the tissue. All are assumed."""


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
_IRON = "Acta Radiol, doi 10.1177/0284185117715285: {} ms over patients; sd is a quarter of it"
_GRAFT = "Mount Sinai: functioning kidney grafts, 1.5 T"
_BY_FIELD = "derived: 3 T / 0.92, the mean ratio over tissues of " + DE_BAZELAIRE
_T1RHO = "derived: 1.3 x T2"


def _both(low: tuple[Value, Value], high: tuple[Value, Value]) -> dict[float, dict[str, Value]]:
    """Name T1rho and T2 at 1.5 T and at 3 T."""
    return {field: dict(zip(CONTRASTS, values, strict=True)) for field, values in zip(FIELDS, (low, high), strict=True)}


def _t2_only(low: Value, high: Value) -> dict[float, dict[str, Value]]:
    """Fill in a T1rho that nobody measured: liver (44.9/34) and kidney cortex (99/76) both have 1.3 times their T2."""
    return _both((_from_t2(low), low), (_from_t2(high), high))


def _from_t2(t2: Value) -> Value:
    return Value(1.3 * t2.mean, 1.3 * t2.sd, _T1RHO)


def _same(mean: float, sd: float, source: str) -> dict[float, dict[str, Value]]:
    """Tell the T2 of what is not known to differ between field strengths."""
    return _t2_only(Value(mean, sd, source), Value(mean, sd, source))


CONTRASTS = ("t1rho", "t2")
"""Names of the relaxation times that the table knows."""

FIELDS = (1.5, 3.0)
"""Field strengths in T at which it knows them."""

LIVER: dict[Disease, Properties] = {
    Disease.HEALTHY: Properties(
        1.0,
        _both(
            (Value(51.0, 3.1, _TRANSL_MED), Value(46, 6, _SPINSIGHT.format("unchecked"))),
            (Value(44.9, 2.8, _XIE), Value(34, 4, DE_BAZELAIRE)),
        ),
    ),
    Disease.STEATOSIS: Properties(
        0.85,  # its fat fraction was 16 %
        _both(
            (
                Value(51.0, 3.9, "derived: as in health, as at 3 T; " + _TRANSL_MED),
                Value(46, 6, "derived: as in health; no difference found at 1.5 T"),
            ),
            (Value(45.0, 3.5, _XIE), Value(34, 4, "derived: as in health; no difference found at 1.5 T")),
        ),
    ),
    Disease.FIBROSIS: Properties(
        1.0,
        _both(
            (Value(59.7, 7.7, _FIBROSIS_T1RHO), Value(49.2, 6.4, _FIBROSIS_T2)),
            (Value(52.6, 6.8, _XIE), Value(36.4, 4.3, _FIBROSIS_T2)),
        ),
        texture=0.04,
    ),
    Disease.CIRRHOSIS: Properties(
        1.0,
        _both(
            (Value(62.9, 7.7, _FIBROSIS_T1RHO), Value(50.1, 6.5, _FIBROSIS_T2)),
            (Value(55.4, 6.8, _F4), Value(37.1, 4.4, _FIBROSIS_T2)),
        ),
        texture=0.06,
    ),
    Disease.IRON: Properties(
        1.0,
        _t2_only(
            Value(19.1, 3.3, _IRON.format("14.8 to 27.9")),
            Value(15.5, 1.5, _IRON.format("14.6 to 20.4")),
        ),
        correlation=0.9,  # the same iron shortens both
    ),
}
"""The liver, healthy and diseased."""

TISSUES: dict[Tissue, Properties] = {
    Tissue.FAT: Properties(0.16, _t2_only(Value(74, 4, _BY_FIELD), Value(68, 4, DE_BAZELAIRE))),
    Tissue.MUSCLE: Properties(0.75, _t2_only(Value(27, 4, _SPINSIGHT.format("of 3 T")), Value(29, 4, DE_BAZELAIRE))),
    Tissue.BONE_MARROW: Properties(0.40, _t2_only(Value(49, 4, _ROY.format("of 3 T")), Value(49, 4, DE_BAZELAIRE))),
    Tissue.CEREBROSPINAL_FLUID: Properties(1.30, _same(2000, 200, "assumed: textbook value")),
    Tissue.SPINAL_CORD: Properties(0.90, _t2_only(Value(74, 4, _STANISZ), Value(78, 4, _STANISZ))),
    Tissue.BLOOD: Properties(0.06, _t2_only(Value(290, 25, _STANISZ), Value(275, 25, _STANISZ))),
    Tissue.SPLEEN: Properties(
        1.05, _t2_only(Value(79, 15, _SPINSIGHT.format("unchecked")), Value(61, 9, DE_BAZELAIRE))
    ),
    Tissue.STOMACH: Properties(0.85, _same(100, 10, _SEIBERLICH)),
    Tissue.STOMACH_CONTENT: Properties(0.60, _same(300, 60, "assumed: a watery meal")),
    Tissue.CYST: Properties(1.20, _same(341, 38, _MCFARLAND)),
    Tissue.TUMOUR: Properties(1.05, _same(76, 11, _MCFARLAND)),
    Tissue.KIDNEY_CORTEX: Properties(
        1.10,
        _both(
            (Value(99.0, 11.0, _GRAFT), Value(87, 4, _SPINSIGHT.format("unchecked"))),
            (Value(98.8, 9.1, _T1RHO), Value(76, 7, DE_BAZELAIRE)),
        ),
    ),
    Tissue.KIDNEY_MEDULLA: Properties(
        1.20,
        _both(
            (Value(124.3, 20.8, _GRAFT), Value(85, 11, _SPINSIGHT.format("unchecked"))),
            (Value(105.3, 10.4, _T1RHO), Value(81, 8, DE_BAZELAIRE)),
        ),
    ),
    Tissue.PANCREAS: Properties(
        0.90, _t2_only(Value(46, 6, _ROY.format("unchecked")), Value(43, 7, DE_BAZELAIRE)), texture=0.06
    ),
    Tissue.GALLBLADDER: Properties(1.25, _same(500, 80, "assumed: bile, a watery fluid"), texture=0.01),
    Tissue.BOWEL_CONTENT: Properties(
        0.50, _same(120, 30, "assumed: thicker than what the stomach holds"), texture=0.10
    ),
    Tissue.LUNG: Properties(0.05, _same(41, 5, "assumed: little water among much air")),
}
"""Every tissue with signal but the liver, whose values depend on :class:`Disease`."""
