"""`tapemill doctor`: run the checks, and print their findings."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any, Final

from tapemill.devices.device import KINDS
from tapemill.doctor.checks import SUBJECTS, run_checks
from tapemill.doctor.findings import CheckOptions
from tapemill.doctor.output import print_findings, print_json

OLD_SUBJECTS: Final = {"cards": "gpus"}


def add_command(commands: Any) -> None:
    """Add `doctor` to the subcommands of an argument parser."""
    parser = commands.add_parser(
        "doctor",
        help="check this machine, folder and settings before a run",
        description="Check software, settings, tapes, models, encoders, GPUs, disk and machine. Each finding is "
        "ok, a warning or an error, with a remedy. The exit code is 1 if a run would fail. The GPUs are recorded, "
        "so that jobs can check that they are on the right one, and the disks are tested with files that are removed "
        "at once; nothing else is written.",
    )
    parser.add_argument("--profile", default=os.environ.get("SNAKEMAKE_PROFILE"), help="the profile to run with")
    parser.add_argument("--kind", choices=[kind for kind in KINDS if kind != "cpu"], help="only GPUs of this kind")
    parser.add_argument(
        "--only",
        choices=SUBJECTS,
        type=_subject,
        action="append",
        help="only this subject; may be repeated",
    )
    parser.add_argument("--json", action="store_true", help="findings as JSON")
    parser.set_defaults(command=_command)


def _subject(name: str) -> str:
    """Return the subject of a name; old names still work."""
    return OLD_SUBJECTS.get(name, name)


def _command(options: argparse.Namespace) -> int:
    print_all = print_json if options.json else print_findings
    try:
        return print_all(run_checks(CheckOptions(options.kind, options.profile), options.only or SUBJECTS), sys.stdout)
    except BrokenPipeError:
        # The reader closed the pipe (`| head`); Python would raise again when it closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130
