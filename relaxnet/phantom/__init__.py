"""Digital subjects: axial slices of the abdomen whose T1rho, T2 and amplitude are known.

:func:`liver_cohort` makes a :class:`Cohort` from a seed; ``cohort[0]`` simulates its first :class:`Subject`:

- **Anatomy**: a body with its fat, layered wall, ribs and spine; liver, spleen, stomach, pancreas, bowel and great
  vessels; in lower slices the upper poles of the kidneys and the gallbladder, in upper ones the base of the lungs
  behind the diaphragm; inside of the liver, veins that branch and, in three subjects of five, cysts or tumours. It is
  described by functions of the position in mm, warped a little differently in each subject, and sampled on a grid. So
  it is the same anatomy at every resolution, and neighbouring slices belong together.
- **Tissues**: each :class:`Tissue` has T1rho and T2 at 1.5 T and at 3 T from the literature (values with their sources
  stand in ``_tissues.py``), which vary between subjects and, as a smooth texture, within a tissue. The liver is healthy
  or has a diffuse :class:`Disease`.
- **Partial volume**: images are simulated on a grid twice as fine within the slice and averaged, so a voxel at a border
  holds a mixture. What its true relaxation time means, :attr:`Subject.truth` says.
- **Images**: those of a :class:`relaxnet.Protocol`, by the decay law of :mod:`relaxnet.signals`, seen by surface
  coils, with Rician noise. As in the sequence that the default protocol is from, vessels are dark and fat is
  suppressed.
- **Label maps**: :func:`label_map_subject` and :func:`label_map_cohort` paint any segmentation of a real abdomen in the
  same way.
- **Corruptions**: in ``liver_cohort(corruptions=...)`` things go wrong: :class:`Breathing`, :class:`SpinLockError`,
  :class:`ResidualFat`, :class:`Gain`. :func:`corrupted` scans a subject once more, with others.

Pictures are in radiological convention: the front of the body is up, the patient's right, with the liver, is at the
left. Units are ms and mm; the amplitude of a healthy liver is about 1000.

A subject is made of its seed and its number alone, with one stream of random numbers for each purpose, so it is the
same in a cohort of any size and on every machine (up to rounding in the last digits).
"""

from relaxnet.phantom._cohort import Cohort, liver_cohort
from relaxnet.phantom._corruptions import Breathing, Corruption, Gain, ResidualFat, SpinLockError, corrupt, corrupted
from relaxnet.phantom._label_map import TOTALSEGMENTATOR_CT, TOTALSEGMENTATOR_MR, label_map_subject
from relaxnet.phantom._label_map_cohort import LabelMapCohort, label_map_cohort
from relaxnet.phantom._subject import Subject
from relaxnet.phantom._subjects import Subjects
from relaxnet.phantom._tissues import Disease, Tissue

__all__ = [
    "TOTALSEGMENTATOR_CT",
    "TOTALSEGMENTATOR_MR",
    "Breathing",
    "Cohort",
    "Corruption",
    "Disease",
    "Gain",
    "LabelMapCohort",
    "ResidualFat",
    "SpinLockError",
    "Subject",
    "Subjects",
    "Tissue",
    "corrupt",
    "corrupted",
    "label_map_cohort",
    "label_map_subject",
    "liver_cohort",
]
