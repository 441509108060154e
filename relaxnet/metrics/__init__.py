"""How far a map is from another, in ms, over a region of interest.

All functions take a map, a reference and a region of one shape, arrays or tensors, and return plain numbers in ms. A
NaN in the region makes the result NaN, as in NumPy: a map with failed voxels is not silently flattered. Choose the
voxels to compare by the region, for instance ``roi & result.ok``.
"""

from relaxnet.metrics._roi import bias, limits_of_agreement, rmae

__all__ = ["bias", "limits_of_agreement", "rmae"]
