"""Commands beside the workflow: `python -m tapemill --help`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from . import doctor, metrics, status
from .errors import TapemillError
from .provenance import same


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tapemill", description="Commands beside the workflow.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for module in (doctor, status, metrics, same):
        module.add_command(commands)
    options = parser.parse_args(arguments)
    try:
        return int(options.command(options))
    except TapemillError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
