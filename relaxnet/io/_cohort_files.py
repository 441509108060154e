"""Paths of the files of a cohort, as in BIDS."""

import re
from pathlib import Path

from relaxnet._contrasts import KNOWN_CONTRASTS
from relaxnet._messages import brief
from relaxnet.io._bids import names_of, sidecar_path

TRUTH = Path("derivatives", "truth")
"""Folder of the ground truth."""

PARTICIPANTS = "participants.tsv"
"""List of the subjects; the last file that is written."""

_LABEL = re.compile(r"sub-[0-9A-Za-z]{1,100}")


def subject_name(index: int) -> str:
    """Return the name of a digital subject from its number."""
    return f"sub-{index + 1:03d}"


class SubjectFiles:
    """Paths of one subject; a ValueError if ``name`` is no name of a subject."""

    def __init__(self, folder: Path, name: str) -> None:
        if not _LABEL.fullmatch(name):
            raise ValueError(f"{folder}: {brief(repr(name))} names no subject: use sub-, then letters and digits.")
        self.name = name
        self.images = folder / name / "anat" / f"{name}_images.nii.gz"
        """Images of the protocol, (x, y, z, image)."""
        self.sidecar = sidecar_path(self.images)
        """JSON file beside the images; the last file of a subject that is written."""
        self.mask = folder / name / "anat" / f"{name}_mask.nii.gz"
        """Voxels to learn from, on the grid of the images, where there is a choice."""
        self.truth = folder / TRUTH / name / "anat"
        """Folder of the ground truth."""
        self.clean = self._of_truth("desc-clean_images")
        """Images without noise."""
        self.roi = self._of_truth("desc-liver_mask")
        """Liver parenchyma."""
        self.labels = self._of_truth("dseg")
        """Tissue of each voxel."""

    def map(self, name: str) -> Path:
        """Return the path of the true map of a contrast, or of ``"m0"``."""
        return self._of_truth("S0map" if name == "m0" else names_of(name).suffix)

    def all(self) -> list[Path]:
        """List every file that a subject can have; without the first ones it counts as incomplete."""
        maps = [self.map(name) for name in (*KNOWN_CONTRASTS, "m0")]
        volumes = [self.images, self.clean, self.roi, self.labels, *maps]
        return [path for volume in volumes for path in (sidecar_path(volume), volume)]

    def _of_truth(self, suffix: str) -> Path:
        return self.truth / f"{self.name}_{suffix}.nii.gz"
