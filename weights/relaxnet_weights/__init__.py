"""Trained networks of relaxnet, one a file. ``relaxnet.load`` finds them by their names."""
