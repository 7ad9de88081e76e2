"""`tapemill doctor`: run the checks, and print their findings."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from tapemill.devices.device import KINDS
from tapemill.doctor.checks import SUBJECTS, run_checks
from tapemill.doctor.findings import CheckOptions
from tapemill.doctor.output import print_findings, print_json


def add_command(commands: Any) -> None:
    """Add `doctor` to the subcommands of an argument parser."""
    parser = commands.add_parser(
        "doctor",
        help="look at this machine, folder and settings: what would a run lack?",
        description="Look at software, settings, tapes, models, encoders, cards, disk and machine. Each finding is "
        "ok, a warning or an error, with what to do. The exit code is 1 if a run would fail. The cards are recorded, "
        "so that jobs can tell whether they are on the right one, and the disks are tried out with files that are gone "
        "a moment later; nothing else is written.",
    )
    parser.add_argument("--profile", default=os.environ.get("SNAKEMAKE_PROFILE"), help="the profile to run with")
    parser.add_argument("--kind", choices=[kind for kind in KINDS if kind != "cpu"], help="cards of this kind alone")
    parser.add_argument("--only", choices=SUBJECTS, action="append", help="this subject alone; may be given again")
    parser.add_argument("--json", action="store_true", help="findings as JSON")
    parser.set_defaults(command=_command)


def _command(options: argparse.Namespace) -> int:
    tell = print_json if options.json else print_findings
    try:
        return tell(run_checks(CheckOptions(options.kind, options.profile), options.only or SUBJECTS), sys.stdout)
    except BrokenPipeError:
        # Whoever reads has seen enough (`| head`); Python would complain when it closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130
