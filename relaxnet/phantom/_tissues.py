"""What each tissue is: its T1rho and T2 at 3 T in ms, its brightness, and who measured them."""

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
    """Outside of the body: no signal, no relaxation time."""
    FAT = 1
    """Fat under the skin and between the organs; the images suppress it, but not wholly."""
    MUSCLE = 2
    """The wall of the abdomen and the muscles of the back."""
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
    """Wall of the stomach, and loops of bowel."""
    STOMACH_CONTENT = 10
    """What the stomach holds."""
    CYST = 11
    """Cyst of the liver."""
    TUMOUR = 12
    """Malignant tumour of the liver."""


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
    """Fibrosis of stage F4: both are longer still, and the texture is coarse."""


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
    t: dict[str, Value]
    """Relaxation times, by the name of the contrast that measures them."""
    texture: float = 0.03
    """Relative standard deviation of relaxation times within the tissue. All are assumed."""


_DE_BAZELAIRE = "de Bazelaire et al., Radiology 230:652 (2004), 3 T"
_STANISZ = "Stanisz et al., Magn Reson Med 54:507 (2005), 3 T; sd assumed"
_PHANTOM = "tissue table of Abdominal_MR_Phantom (Seiberlich lab); sd assumed"
_MCFARLAND = "McFarland et al., Radiology 193:43 (1994), 1.5 T"
_XIE = "Xie et al., Korean J Radiol 18:898 (2017), 3 T"
_FIBROSIS_T2 = "derived: healthy + 7 to 9 % with stage, ISMRM 2010 #259, 1.5 T"
_F4 = "derived: healthy + 10.5 ms, meta-analysis of 11 studies, Diagn Interv Radiol 2025.253325; sd of fibrosis"


def _t2_only(mean: float, sd: float, source: str) -> dict[str, Value]:
    """Fill in a T1rho that nobody measured: liver (44.9/34) and kidney cortex (99/76) both have 1.3 times their T2."""
    return {"t1rho": Value(1.3 * mean, 1.3 * sd, "derived: 1.3 x T2"), "t2": Value(mean, sd, source)}


LIVER: dict[Disease, Properties] = {
    Disease.HEALTHY: Properties(1.0, {"t1rho": Value(44.9, 2.8, _XIE), "t2": Value(34, 4, _DE_BAZELAIRE)}),
    Disease.STEATOSIS: Properties(
        0.85,  # its fat fraction was 16 %
        {"t1rho": Value(45.0, 3.5, _XIE), "t2": Value(34, 4, "derived: as in health; no difference found at 1.5 T")},
    ),
    Disease.FIBROSIS: Properties(
        1.0, {"t1rho": Value(52.6, 6.8, _XIE), "t2": Value(36.4, 4.3, _FIBROSIS_T2)}, texture=0.04
    ),
    Disease.CIRRHOSIS: Properties(
        1.0, {"t1rho": Value(55.4, 6.8, _F4), "t2": Value(37.1, 4.4, _FIBROSIS_T2)}, texture=0.06
    ),
}
"""The liver, healthy and diseased."""

TISSUES: dict[Tissue, Properties] = {
    Tissue.FAT: Properties(0.16, _t2_only(68, 4, _DE_BAZELAIRE)),
    Tissue.MUSCLE: Properties(0.75, _t2_only(29, 4, _DE_BAZELAIRE)),
    Tissue.BONE_MARROW: Properties(0.40, _t2_only(49, 4, _DE_BAZELAIRE)),
    Tissue.CEREBROSPINAL_FLUID: Properties(1.30, _t2_only(2000, 200, "textbook value; sd assumed")),
    Tissue.SPINAL_CORD: Properties(0.90, _t2_only(78, 4, _STANISZ)),
    Tissue.BLOOD: Properties(0.06, _t2_only(275, 25, _STANISZ)),
    Tissue.SPLEEN: Properties(1.05, _t2_only(61, 9, _DE_BAZELAIRE)),
    Tissue.STOMACH: Properties(0.85, _t2_only(100, 10, _PHANTOM)),
    Tissue.STOMACH_CONTENT: Properties(0.60, _t2_only(300, 60, "assumed: a watery meal")),
    Tissue.CYST: Properties(1.20, _t2_only(341, 38, _MCFARLAND)),
    Tissue.TUMOUR: Properties(1.05, _t2_only(76, 11, _MCFARLAND)),
}
"""Every tissue with signal but the liver, whose values depend on :class:`Disease`."""

CONTRASTS = ("t1rho", "t2")
"""Names of the relaxation times that the table knows."""
