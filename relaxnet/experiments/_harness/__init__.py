"""Behind the questions: who is simulated, how networks are trained and scored, how results are written."""
