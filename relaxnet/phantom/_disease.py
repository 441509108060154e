"""Prevalence of the liver diseases."""

from relaxnet.phantom._anatomy.random_fields import Stream, generator
from relaxnet.phantom._tissues import Disease

_PREVALENCE = {  # assumed
    Disease.HEALTHY: 0.35,
    Disease.STEATOSIS: 0.2,
    Disease.FIBROSIS: 0.2,
    Disease.CIRRHOSIS: 0.15,
    Disease.IRON: 0.1,
}


def draw_disease(seed: int, subject: int) -> Disease:
    """Draw the liver disease of a subject of a cohort."""
    rng = generator(seed, subject, Stream.DISEASE)
    return tuple(_PREVALENCE)[int(rng.choice(len(_PREVALENCE), p=tuple(_PREVALENCE.values())))]
