"""The anatomy of the digital abdomen: organs as functions of the position in mm."""
