"""The command line: ``relaxnet demo``, ``fit``, ``simulate``, ``train``, ``predict``, ``info``.

:func:`main` is the entry point. It alone turns exceptions into messages and exit statuses; a command parses its
options, hands them to a function that knows nothing of the command line, and prints what came out. Results go to
standard output, everything else to standard error. One command a file; torch is imported inside the commands, so that
``--help`` answers at once. The commands need the extra ``cli``.
"""

from relaxnet.cli._main import main

__all__ = ["main"]
