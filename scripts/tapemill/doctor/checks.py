"""All checks of the doctor, one after the other; a check that fails is a finding too."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from importlib import import_module
from pathlib import Path
from typing import Final

from tapemill.core.errors import TapemillError

from .findings import Asked, Check, Finding, fault, warning

# Subject, module, function. What others build on comes first.
CHECKS: Final = (
    ("software", "packages", "check_python"),
    ("software", "packages", "check_packages"),
    ("software", "packages", "check_plugins"),
    ("settings", "config", "check_config"),
    ("settings", "config", "check_chain"),
    ("settings", "config", "check_profile"),
    ("tapes", "tapes", "check_sheet"),
    ("models", "models", "check_models"),
    ("ffmpeg", "ffmpeg", "check_ffmpeg"),
    ("ffmpeg", "ffmpeg", "check_filters"),
    ("encoders", "ffmpeg", "check_encoders"),
    ("cards", "gpus", "check_torch"),
    ("cards", "gpus", "check_cards"),
    ("cards", "gpus", "check_lanes"),
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


def run_checks(asked: Asked, subjects: Collection[str] = SUBJECTS) -> Iterator[tuple[str, Finding]]:
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
