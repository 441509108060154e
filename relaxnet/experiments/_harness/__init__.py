"""The machinery behind the questions: subjects, networks, fits, scores, tables and files."""
