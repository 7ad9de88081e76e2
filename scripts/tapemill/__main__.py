"""`python -m tapemill`: the command `tapemill` where the package is not installed."""

import sys

from tapemill.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
