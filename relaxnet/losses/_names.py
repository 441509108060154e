"""Options of residuals, without torch: what commands and settings name."""

from typing import Literal

Pairs = Literal["all", "forward", "orthogonal"]
"""Pairs of images: all ordered ones, later images from earlier ones, or orthogonal distances."""
Distance = Literal["l1", "l2", "rician-mean", "rician-likelihood"]
"""Distances of images from their reconstruction."""
