"""The command `tapemill`: one subcommand a module of this package."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from tapemill.core.errors import TapemillError

COMMANDS = ("run", "doctor", "status", "metrics", "same", "verify", "renew")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(
        prog="tapemill", description="Restore digitised home-video tapes, and watch the work."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    # Only what is asked for: the doctor has to work where packages are missing that others need.
    for name in given[:1] if given[:1] and given[0] in COMMANDS else COMMANDS:
        import_module(f".{name}", __package__).add_command(commands)
    options = parser.parse_args(given)
    try:
        return int(options.command(options))
    except TapemillError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
