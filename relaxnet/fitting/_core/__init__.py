"""Behind the estimators: checked arguments, blocks of voxels, and the numerics that they share."""
