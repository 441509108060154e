"""Maps of a folder in the browser: slices, and the decay of a clicked voxel."""
