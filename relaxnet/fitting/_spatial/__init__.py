"""The parts of the spatial fit: neighbours, prior, posterior, Gauss-Newton and evidence."""
