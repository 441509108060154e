"""Digital subjects: axial slices of the abdomen with known T1rho, T2 and amplitude.

:func:`liver_cohort` makes a :class:`Cohort` from a seed; ``cohort[0]`` simulates its first :class:`Subject`:

- **Anatomy**: a body with fat, layered wall, ribs and spine; liver, spleen, stomach, pancreas, bowel and great vessels;
  the upper poles of the kidneys and the gallbladder in lower slices, the base of the lungs behind the diaphragm in
  upper ones; and inside the liver, branching vessels and, in three subjects of five, cysts or tumours. The anatomy is
  described by functions of position in mm, warped differently in each subject, and sampled on a grid. It is therefore
  the same at every resolution, and neighbouring slices belong together.
- **Tissues**: each :class:`Tissue` has values of T1rho and T2 at 1.5 T and 3 T from the literature (``_tissues.py``
  lists them with their sources). They vary between subjects and, as a smooth texture, within a tissue. The liver is
  healthy or has a diffuse :class:`Disease`.
- **Texture**: ``liver_cohort(texture=...)`` replaces the smooth texture by one as in real tissue, with small vessels
  that have no label, and small lesions (:class:`Texture`).
- **Partial volume**: images are simulated on a grid twice as fine within the slice and averaged, so voxels at borders
  hold mixtures. :attr:`Subject.truth` defines the true relaxation time of a mixture.
- **Images**: the images of a :class:`relaxnet.Protocol`, from the signal models of :mod:`relaxnet.signals`, with the
  sensitivity of surface coils and Rician noise. As in the sequence of the default protocol, vessels are dark and fat is
  suppressed.
- **Label maps**: :func:`label_map_subject` and :func:`label_map_cohort` do the same with any segmentation of a real
  abdomen.
- **Without anatomy**: :func:`texture_cohort` makes maps of dead leaves or photographs, for any protocol.
- **Floor**: :func:`bayes_floor` tells the smallest error that any estimate of such maps can have.
- **Corruptions**: ``liver_cohort(corruptions=...)`` simulates imperfect acquisitions with :class:`Breathing`,
  :class:`SpinLockError`, :class:`ResidualFat` and :class:`Gain`; :func:`corrupted` simulates a second acquisition of a
  subject.

Pictures are in radiological convention: the front of the body is up, the patient's right, with the liver, is at the
left. Units are ms and mm; the amplitude of a healthy liver is about 1000.

A subject depends only on the seed and its number, with one stream of random numbers for each purpose. It is the same in
a cohort of any size and on every machine (up to rounding in the last digits).
"""

from relaxnet.phantom._cohort import Cohort, liver_cohort
from relaxnet.phantom._corruptions import Breathing, Corruption, Gain, ResidualFat, SpinLockError, corrupt, corrupted
from relaxnet.phantom._floor import bayes_floor
from relaxnet.phantom._label_map_cohort import LabelMapCohort, label_map_cohort, label_map_subject
from relaxnet.phantom._subject import Subject
from relaxnet.phantom._subjects import Subjects
from relaxnet.phantom._texture import Texture
from relaxnet.phantom._texture_cohort import TextureCohort, texture_cohort
from relaxnet.phantom._tissues import Disease, Tissue
from relaxnet.phantom._totalsegmentator import TOTALSEGMENTATOR_CT, TOTALSEGMENTATOR_MR

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
    "Texture",
    "TextureCohort",
    "Tissue",
    "bayes_floor",
    "corrupt",
    "corrupted",
    "label_map_cohort",
    "label_map_subject",
    "liver_cohort",
    "texture_cohort",
]
