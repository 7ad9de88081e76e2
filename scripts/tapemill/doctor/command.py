"""The command: all checks, one after the other, and what they say."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Collection, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from ..device import KINDS
from ..errors import TapemillError
from .findings import Asked, Check, Finding, fault, warning
from .telling import tell_json, tell_lines

# Subject, module, function. What others build on comes first.
CHECKS: Final = (
    ("software", "software", "check_python"),
    ("software", "software", "check_packages"),
    ("software", "software", "check_plugins"),
    ("settings", "project", "check_config"),
    ("settings", "project", "check_chain"),
    ("settings", "project", "check_profile"),
    ("tapes", "sources", "check_sheet"),
    ("models", "weights", "check_models"),
    ("ffmpeg", "video", "check_ffmpeg"),
    ("ffmpeg", "video", "check_filters"),
    ("encoders", "video", "check_encoders"),
    ("cards", "graphics", "check_torch"),
    ("cards", "graphics", "check_cards"),
    ("cards", "graphics", "check_lanes"),
    ("disk", "disk", "check_places"),
    ("disk", "disk", "check_plan"),
    ("runs", "runs", "check_runs"),
    ("runs", "runs", "check_leases"),
    ("runs", "runs", "check_leftovers"),
    ("machine", "machine", "check_limits"),
    ("machine", "machine", "check_memory"),
    ("machine", "machine", "check_clock"),
)
SUBJECTS: Final = tuple(dict.fromkeys(subject for subject, _, _ in CHECKS))
SETUP: Final = "run `make setup`"


def add_command(commands: Any) -> None:
    """Add `doctor` to the subcommands of an argument parser."""
    parser = commands.add_parser(
        "doctor",
        help="look at this machine, folder and settings: what would a run lack?",
        description="Look at software, settings, tapes, models, encoders, cards, disk and machine. Each finding is "
        "ok, a warning or a fault, with what to do. The exit code is 1 if a run would fail. The cards are recorded, "
        "so that jobs can tell whether they are on the right one, and the disks are tried out with files that are gone "
        "a moment later; nothing else is written.",
    )
    parser.add_argument("--profile", default=os.environ.get("SNAKEMAKE_PROFILE"), help="the profile to run with")
    parser.add_argument("--kind", choices=[kind for kind in KINDS if kind != "cpu"], help="cards of this kind alone")
    parser.add_argument("--only", choices=SUBJECTS, action="append", help="this subject alone; may be given again")
    parser.add_argument("--json", action="store_true", help="findings as JSON")
    parser.set_defaults(command=_command)


def _command(options: argparse.Namespace) -> int:
    tell = tell_json if options.json else tell_lines
    try:
        return tell(examine(Asked(options.kind, options.profile), options.only or SUBJECTS), sys.stdout)
    except BrokenPipeError:
        # Whoever reads has seen enough (`| head`); Python would complain when it closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130


def examine(asked: Asked, subjects: Collection[str] = SUBJECTS) -> Iterator[tuple[str, Finding]]:
    """All findings on some subjects, each as soon as it is there. A check that fails is a finding too."""
    for subject, module, name in CHECKS:
        if subject not in subjects:
            continue
        try:
            check: Check = getattr(import_module(f".{module}", __package__), name)
            for finding in check(asked):
                yield subject, finding
        except TapemillError as error:
            yield subject, Finding.of(error)
        except ModuleNotFoundError as error:
            yield (
                subject,
                fault(f"{subject} cannot be looked at: the package {error.name} is not installed", SETUP),
            )
        except ImportError as error:
            yield subject, fault(f"{subject} cannot be looked at: {_said(error)}", f"the package is broken: {SETUP}")
        except OSError as error:
            yield (
                subject,
                fault(
                    f"{subject} cannot be looked at: {error.strerror or _said(error)}",
                    "see who may read the file (`ls -l`), and whether its disk is well (`findmnt`, the system log)",
                    [("file", str(error.filename))] if error.filename else (),
                ),
            )
        except Exception as error:  # noqa: BLE001  whatever it is: the other subjects have to be told all the same
            yield (
                subject,
                warning(
                    f"the check of {subject} failed itself: {type(error).__name__}: {_said(error)}",
                    "the fault is the doctor's; report it with this line",
                    [("place", _place(error))],
                ),
            )


def _said(error: BaseException) -> str:
    return str(error).partition("\n")[0]


def _place(error: BaseException) -> str:
    """File and line where an error was raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "unknown" if trace is None else f"{Path(trace.tb_frame.f_code.co_filename).name}, line {trace.tb_lineno}"
