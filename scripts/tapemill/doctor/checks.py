"""All checks of the doctor, one after the other; a check that fails is a finding too."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from importlib import import_module
from pathlib import Path
from typing import Final

from tapemill.core.errors import TapemillError

from .findings import Check, CheckOptions, Finding, error, warning

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


def run_checks(asked: CheckOptions, subjects: Collection[str] = SUBJECTS) -> Iterator[tuple[str, Finding]]:
    """All findings on some subjects, each as soon as it is there. A check that fails is a finding too."""
    for subject, module, name in CHECKS:
        if subject not in subjects:
            continue
        try:
            check: Check = getattr(import_module(f".{module}", __package__), name)
            for finding in check(asked):
                yield subject, finding
        except TapemillError as exc:
            yield subject, Finding.of(exc)
        except ModuleNotFoundError as exc:
            yield (
                subject,
                error(f"{subject} cannot be looked at: the package {exc.name} is not installed", SETUP),
            )
        except ImportError as exc:
            yield subject, error(f"{subject} cannot be looked at: {_said(exc)}", f"the package is broken: {SETUP}")
        except OSError as exc:
            yield (
                subject,
                error(
                    f"{subject} cannot be looked at: {exc.strerror or _said(exc)}",
                    "see who may read the file (`ls -l`), and whether its disk is well (`findmnt`, the system log)",
                    [("file", str(exc.filename))] if exc.filename else (),
                ),
            )
        except Exception as exc:  # noqa: BLE001  whatever it is: the other subjects have to be told all the same
            yield (
                subject,
                warning(
                    f"the check of {subject} failed itself: {type(exc).__name__}: {_said(exc)}",
                    "the fault is the doctor's; report it with this line",
                    [("place", _place(exc))],
                ),
            )


def _said(exc: BaseException) -> str:
    return str(exc).partition("\n")[0]


def _place(exc: BaseException) -> str:
    """File and line where an error was raised."""
    trace = exc.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "unknown" if trace is None else f"{Path(trace.tb_frame.f_code.co_filename).name}, line {trace.tb_lineno}"
