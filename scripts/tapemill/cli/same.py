"""Command `tapemill same A B`: compare how two tapes were made."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import Any, Final

from tapemill.core.errors import TapemillError
from tapemill.provenance.compare import Comparison, compare
from tapemill.provenance.load import load_provenance

SAME: Final = 0
DIFFERENT: Final = 1
UNKNOWN: Final = 2


def add_command(commands: Any) -> None:
    """Add `same` to the subcommands of an argument parser."""
    parser = commands.add_parser(
        "same",
        help="compare how two tapes were made",
        description="Compare how two tapes were made: from the same capture, with the same settings, "
        "models and programs, the same scenes; times and machines do not matter. Each is a tape's id, its folder, its "
        "file or its provenance.json. The exit code is 0 if it is the same, 1 if not, 2 if it is not known.",
    )
    parser.add_argument("first", metavar="A")
    parser.add_argument("second", metavar="B")
    parser.set_defaults(command=_command)


def _command(options: argparse.Namespace) -> int:
    try:
        found = compare(load_provenance(options.first), load_provenance(options.second))
    except TapemillError as error:
        sys.stderr.write(f"{error}\n")
        return UNKNOWN
    sys.stdout.write("\n".join(format_comparison(found)) + "\n")
    return DIFFERENT if found.differences else SAME


def format_comparison(found: Comparison) -> Iterator[str]:
    """Format a comparison as lines for people."""
    how = ", according to the tags of the files" if found.by_tags_alone else ""
    if not found.differences:
        yield f"Made in the same way{how}."
    else:
        yield f"Not made in the same way{how}. A | B:"
        yield from (f"  {difference}" for difference in found.differences)
        if not found.same_capture and not found.by_tags_alone:
            yield "The captures are not the same, so single scenes were not compared."
    if found.by_tags_alone:
        yield "With provenance.json beside both tapes, single scenes, commands and hashes would be compared too."
    elif found.same_capture:
        yield _format_results(found)
    if found.other_code:
        yield f"The code of Tapemill is not the same, which made no difference ({found.other_code})."


def _format_results(found: Comparison) -> str:
    if found.same_files:
        return "The tape and its subtitles are the same, byte for byte."
    if found.differences:
        return "The result files differ."
    return (
        "But the result files differ: another kind of GPU or processor rounds differently; see `run` of both documents."
    )
