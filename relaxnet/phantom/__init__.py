"""Digital patients: axial slices of the abdomen whose T1rho, T2 and amplitude are known.

:func:`liver_cohort` makes a :class:`Cohort` from a seed; ``cohort[0]`` simulates its first :class:`Subject`:

- **Anatomy**: a body with its fat, muscular wall, ribs and spine; liver, spleen, stomach and great vessels; inside of
  the liver, veins that branch and, in three subjects of five, cysts or tumours. It is described by functions of the
  position in mm, warped a little differently in each subject, and sampled at the pixel centres. So it is the same
  anatomy at every resolution, and neighbouring slices belong together.
- **Tissues**: each :class:`Tissue` has T1rho and T2 at 3 T from the literature (values with their sources stand in
  ``_tissues.py``), which vary between subjects and, as a smooth texture, within a tissue. The liver is healthy or has
  a diffuse :class:`Disease`.
- **Images**: those of a :class:`relaxnet.Protocol`, by the decay law of :mod:`relaxnet.signals`, seen by surface
  coils, with Rician noise. As in the sequence that the default protocol is from, vessels are dark and fat is
  suppressed.

Pictures are in radiological convention: the front of the body is up, the patient's right, with the liver, is at the
left. Units are ms and mm; the amplitude of a healthy liver is about 1000.

A subject is made of its seed and its number alone, with one stream of random numbers for each purpose, so it is the
same in a cohort of any size and on every machine (up to rounding in the last digits).
"""

from relaxnet.phantom._cohort import Cohort, liver_cohort
from relaxnet.phantom._subject import Subject
from relaxnet.phantom._tissues import Disease, Tissue

__all__ = ["Cohort", "Disease", "Subject", "Tissue", "liver_cohort"]
