"""T1, T2* and diffusion coefficients of the tissues, for contrasts other than T1rho and T2.

T1 at 3 T is from the abstract of de Bazelaire et al. where they measured it; at 1.5 T it is that value divided by 1.21,
the mean ratio given in the abstract. All other values are assumed: good enough to try a protocol, not to be quoted.
"""

from relaxnet.phantom._tissues import CONTRASTS, DE_BAZELAIRE, FIELDS, Properties, Tissue, Value

KNOWN = (*CONTRASTS, "t1", "t2star", "adc")
"""All contrasts that the phantom can simulate."""

_FIELD_RATIO = 1.21  # T1 at 3 T over T1 at 1.5 T
_T2STAR = 0.6  # of T2: between that of the liver at 1.5 T (28 of 46 ms) and at 3 T (22 of 34 ms)
_ADC_SD = 0.1  # relative standard deviation between subjects
_ASSUMED = "assumed"

# T1 at 3 T in ms: mean, standard deviation between subjects, source; apparent diffusion coefficient in mm²/s.
_T1_ADC: dict[Tissue, tuple[float, float, str, float]] = {
    Tissue.FAT: (382, 13, DE_BAZELAIRE, 0.3e-3),
    Tissue.MUSCLE: (898, 33, DE_BAZELAIRE, 1.5e-3),
    Tissue.BONE_MARROW: (586, 73, DE_BAZELAIRE, 0.5e-3),
    Tissue.CEREBROSPINAL_FLUID: (4000, 300, _ASSUMED, 3.0e-3),
    Tissue.SPINAL_CORD: (990, 50, _ASSUMED, 1.0e-3),
    Tissue.LIVER: (809, 71, DE_BAZELAIRE, 1.1e-3),
    Tissue.BLOOD: (1900, 90, _ASSUMED, 2.0e-3),
    Tissue.SPLEEN: (1328, 31, DE_BAZELAIRE, 0.8e-3),
    Tissue.STOMACH: (900, 90, _ASSUMED, 1.5e-3),
    Tissue.STOMACH_CONTENT: (2000, 300, _ASSUMED, 2.5e-3),
    Tissue.CYST: (2900, 300, _ASSUMED, 2.8e-3),
    Tissue.TUMOUR: (1200, 150, _ASSUMED, 1.2e-3),
    Tissue.KIDNEY_CORTEX: (1142, 154, DE_BAZELAIRE, 2.2e-3),
    Tissue.KIDNEY_MEDULLA: (1545, 142, DE_BAZELAIRE, 1.9e-3),
    Tissue.PANCREAS: (725, 71, DE_BAZELAIRE, 1.3e-3),
    Tissue.GALLBLADDER: (3000, 400, _ASSUMED, 2.9e-3),
    Tissue.BOWEL_CONTENT: (1200, 250, _ASSUMED, 1.8e-3),
    Tissue.LUNG: (1300, 100, _ASSUMED, 1.0e-3),
}


def value_of(contrast: str, tissue: Tissue, properties: Properties, field_tesla: float) -> Value:
    """Look up the value of a tissue for one of the :data:`KNOWN` contrasts, in ms, or mm²/s for diffusion."""
    measured = properties.t[field_tesla]
    if contrast in measured:
        return measured[contrast]
    if contrast == "t2star":
        t2 = measured["t2"]
        return Value(_T2STAR * t2.mean, _T2STAR * t2.sd, f"derived: {_T2STAR:g} x T2")
    mean, sd, source, adc = _T1_ADC[tissue]
    if contrast == "adc":
        return Value(adc, _ADC_SD * adc, _ASSUMED)
    if field_tesla == max(FIELDS):
        return Value(mean, sd, source)
    return Value(mean / _FIELD_RATIO, sd / _FIELD_RATIO, f"derived: 3 T / {_FIELD_RATIO:g}, {source}")
