"""Denoising of the images of a protocol together, before anything is fitted.

What all images of a voxel and of its neighbours have in common is signal; the rest is noise. :func:`low_rank` keeps
what few patterns over the images explain, and :func:`non_local_means` averages patches that are alike in all images.
Neither knows of relaxation, and both are the controls that spatial fits and networks have to beat.
"""

from typing import TYPE_CHECKING

from relaxnet._lazy import lazily

if TYPE_CHECKING:
    from relaxnet.denoise._low_rank import low_rank as low_rank
    from relaxnet.denoise._non_local_means import non_local_means as non_local_means

__getattr__, __dir__, __all__ = lazily(__name__)
