"""Command `tapemill same A B`: compare how two tapes were made."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import Any, Final

from tapemill.core.errors import TapemillError
from tapemill.provenance.compare import Comparison, compare
from tapemill.provenance.load import load_provenance
from tapemill.verification.verify import FileCheck, check_results

SAME: Final = 0
DIFFERENT: Final = 1
UNKNOWN: Final = 2


def add_command(commands: Any) -> None:
    """Add `same` to the subcommands of an argument parser."""
    parser = commands.add_parser(
        "same",
        help="compare how two tapes were made",
        description="Compare how two tapes were made: capture, settings, models, programs, and each scene. Times and "
        "places do not matter. Files that are equal by their records are read. A tape is named by its id, its folder, "
        "its file or its provenance.json. The exit code: 0 if both were made in the same way, 1 if not, 2 if unknown.",
    )
    parser.add_argument("first", metavar="A")
    parser.add_argument("second", metavar="B")
    parser.set_defaults(command=_command)


def _command(options: argparse.Namespace) -> int:
    try:
        tapes = [load_provenance(named) for named in (options.first, options.second)]
        found = compare(*tapes)
        # A record says nothing about the files now: they are read.
        states = [check for tape in tapes for check in check_results(tape)] if found.same_files else []
    except TapemillError as error:
        sys.stderr.write(f"{error}\n")
        return UNKNOWN
    sys.stdout.write("\n".join(format_comparison(found, states)) + "\n")
    if found.differences or any(check.state in ("changed", "damaged") for check in states):
        return DIFFERENT
    return UNKNOWN if any(check.is_fault for check in states) else SAME


def format_comparison(found: Comparison, states: Sequence[FileCheck]) -> Iterator[str]:
    """Format a comparison as lines for people. `states` are those of the files of both tapes, where they are equal."""
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
        yield from _format_results(found, states)
    if found.other_code:
        yield f"The code of Tapemill differs, without effect on the files ({found.other_code})."


def _format_results(found: Comparison, states: Sequence[FileCheck]) -> Iterator[str]:
    faults = [check for check in states if check.is_fault]
    if faults:
        yield "The tape and its subtitles were the same when they were made, but now:"
        yield from (f"  {check.path} is {check.state}: {check.detail}" for check in faults)
    elif found.same_files and states:
        yield "The tape and its subtitles are the same, byte for byte; both were read."
    elif found.same_files:
        yield "The tape and its subtitles were the same, byte for byte, when they were made. They are not there now."
    elif found.differences:
        yield "The results differ."
    else:
        yield (
            "But the results differ: another kind of GPU or processor rounds differently; see `run` of both documents."
        )
