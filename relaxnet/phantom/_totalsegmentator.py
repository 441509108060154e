"""Tissues of the labels that TotalSegmentator gives to the organs of the abdomen."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from relaxnet.phantom._tissues import Tissue

_SHARED: dict[Tissue, Iterable[int]] = {
    Tissue.AIR: (0,),
    Tissue.SPLEEN: (1,),
    Tissue.KIDNEY_CORTEX: (2, 3),
    Tissue.GALLBLADDER: (4,),
    Tissue.LIVER: (5,),
    Tissue.STOMACH_CONTENT: (6,),
    Tissue.PANCREAS: (7, 8, 9),  # with the adrenals, which are glands, too
}
# To be added by threshold, as no network labels them.
_ADDED: dict[Tissue, Iterable[int]] = {Tissue.FAT: (200,), Tissue.MUSCLE: (201,)}


def _by_label(*tables: Mapping[Tissue, Iterable[int]]) -> Mapping[int, Tissue]:
    """Invert tables of labels by tissue into one read-only table of tissues by label."""
    by_label = {label: tissue for table in tables for tissue, labels in table.items() for label in labels}
    return MappingProxyType(dict(sorted(by_label.items())))


TOTALSEGMENTATOR_MR: Mapping[int, Tissue] = _by_label(
    _SHARED,
    _ADDED,
    {
        Tissue.LUNG: (10, 11),
        Tissue.STOMACH: (13, 14),  # small bowel and duodenum, mostly wall
        Tissue.BOWEL_CONTENT: (15,),
        Tissue.BONE_MARROW: (19,),
        Tissue.SPINAL_CORD: (20, 21),  # with the discs, whose T2 is closest to it
        Tissue.BLOOD: (23, 24, 25),
        Tissue.MUSCLE: (46, 47, 48, 49),
    },
)
"""Tissues of the labels of TotalSegmentator's task ``total_mr`` in the abdomen, and of the labels 200 (fat) and 201
(other soft tissue), which you add by threshold. Organs that the phantom does not have get its most similar tissue."""

TOTALSEGMENTATOR_CT: Mapping[int, Tissue] = _by_label(
    _SHARED,
    _ADDED,
    {
        Tissue.LUNG: range(10, 15),
        Tissue.STOMACH: (18, 19),  # small bowel and duodenum
        Tissue.BOWEL_CONTENT: (20,),
        Tissue.BONE_MARROW: (*range(26, 51), 69, 70, *range(92, 117)),  # vertebrae, humeri, ribs, sternum
        Tissue.BLOOD: (52, 63, 64),
        Tissue.SPINAL_CORD: (79,),
        Tissue.MUSCLE: (86, 87, 117),  # with the cartilage of the ribs
    },
)
"""Tissues of the labels of TotalSegmentator's task ``total`` (CT) in the abdomen, and of the labels 200 and 201, as in
:data:`TOTALSEGMENTATOR_MR`."""
