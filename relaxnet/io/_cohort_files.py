"""Where the files of a cohort are, in the manner of BIDS."""

import re
from dataclasses import dataclass
from pathlib import Path

from relaxnet._contrasts import KNOWN_CONTRASTS
from relaxnet.io._bids import names_of, sidecar_path

TRUTH = Path("derivatives", "truth")
"""Folder of what only a simulation knows."""

DESCRIPTION = "dataset_description.json"
"""Says what the cohort is. It is the first file that is written."""

PARTICIPANTS = "participants.tsv"
"""Lists the subjects. It is the last file that is written."""

_LABEL = re.compile(r"sub-[0-9A-Za-z]{1,100}")


@dataclass(frozen=True)
class SubjectFiles:
    """The paths of one subject."""

    folder: Path
    """Folder of the cohort."""
    name: str
    """Name of the subject, ``"sub-001"``."""

    def __post_init__(self) -> None:
        if not _LABEL.fullmatch(self.name):
            raise ValueError(f"{self.folder}: {self.name!r} names no subject: use sub-, then letters and digits.")

    @property
    def images(self) -> Path:
        """All images of the protocol, (x, y, z, image)."""
        return self.folder / self.name / "anat" / f"{self.name}_images.nii.gz"

    @property
    def sidecar(self) -> Path:
        """The JSON file beside the images. It is the last file of a subject that is written."""
        return sidecar_path(self.images)

    @property
    def clean(self) -> Path:
        """The images without their noise."""
        return self._truth("desc-clean_images")

    @property
    def roi(self) -> Path:
        """Liver parenchyma."""
        return self._truth("desc-liver_mask")

    @property
    def labels(self) -> Path:
        """Tissue of each voxel."""
        return self._truth("dseg")

    def map(self, name: str) -> Path:
        """Return where the true map of a contrast is, or that of ``"m0"``.

        Parameters
        ----------
        name
            Name of the contrast, or ``"m0"``.

        Returns
        -------
        Path
            Its path.
        """
        return self._truth("S0map" if name == "m0" else names_of(name).suffix)

    def all(self) -> list[Path]:
        """List every file that a subject can have, those first that make it a whole one.

        Returns
        -------
        list of Path
            The paths.
        """
        maps = [self.map(name) for name in (*KNOWN_CONTRASTS, "m0")]
        volumes = [self.images, self.clean, self.roi, self.labels, *maps]
        return [path for volume in volumes for path in (sidecar_path(volume), volume)]

    def _truth(self, suffix: str) -> Path:
        return self.folder / TRUTH / self.name / "anat" / f"{self.name}_{suffix}.nii.gz"
