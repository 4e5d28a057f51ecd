"""``python -m akin`` is the program ``akin``."""

import sys

from ._program import run

if __name__ == "__main__":
    sys.exit(run())
