"""The compiled fits."""
