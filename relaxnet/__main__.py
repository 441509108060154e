"""``python -m relaxnet`` is ``relaxnet``."""

import sys

from relaxnet.cli import main

if __name__ == "__main__":
    sys.exit(main())
