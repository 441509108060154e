"""Anatomy of the digital abdomen: organs as functions of position in mm."""
