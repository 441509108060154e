"""Reports: one HTML file each, which holds its figures and needs nothing else."""
