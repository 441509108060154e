"""The command line, ``relaxnet``: one file for each command.

:func:`main` is the entry point. It alone turns exceptions into messages and exit statuses. A command parses its
options, calls a function of the library, and prints the outcome. Results go to standard output, all else to standard
error. Torch is imported inside the commands, so that ``--help`` answers at once. The commands need the extra ``cli``.
"""

from relaxnet.cli._main import main

__all__ = ["main"]
