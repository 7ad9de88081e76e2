"""Runner of all checks of the doctor; an exception in a check is a finding too."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from importlib import import_module
from pathlib import Path
from typing import Final

from tapemill.core.errors import TapemillError

from .findings import Check, CheckOptions, Finding, error, warning

# Subject, module, function. Subjects that others depend on come first.
CHECKS: Final = (
    ("software", "packages", "check_python"),
    ("software", "packages", "check_packages"),
    ("software", "packages", "check_plugins"),
    ("settings", "config", "check_config"),
    ("settings", "config", "check_chain"),
    ("settings", "config", "check_profile"),
    ("tapes", "tapes", "check_sheet"),
    ("tapes", "tapes", "check_verified"),
    ("tapes", "tapes", "check_recipes"),
    ("models", "models", "check_models"),
    ("ffmpeg", "ffmpeg", "check_ffmpeg"),
    ("ffmpeg", "ffmpeg", "check_filters"),
    ("encoders", "ffmpeg", "check_encoders"),
    ("gpus", "gpus", "check_torch"),
    ("gpus", "gpus", "check_gpus"),
    ("gpus", "gpus", "check_lanes"),
    ("disk", "disk", "check_folders"),
    ("disk", "disk", "check_space"),
    ("runs", "runs", "check_runs"),
    ("runs", "runs", "check_results_lease"),
    ("runs", "runs", "check_leases"),
    ("runs", "runs", "check_leftovers"),
    ("machine", "machine", "check_limits"),
    ("machine", "machine", "check_memory"),
    ("machine", "machine", "check_clock"),
)
SUBJECTS: Final = tuple(dict.fromkeys(subject for subject, _, _ in CHECKS))
SETUP: Final = "run `make setup`"


def run_checks(options: CheckOptions, subjects: Collection[str] = SUBJECTS) -> Iterator[tuple[str, Finding]]:
    """Run the checks of some subjects, and yield subject and finding as they come. Exceptions become findings."""
    for subject, module, name in CHECKS:
        if subject not in subjects:
            continue
        try:
            check: Check = getattr(import_module(f".{module}", __package__), name)
            for finding in check(options):
                yield subject, finding
        except TapemillError as exc:
            yield subject, Finding.of(exc)
        except ModuleNotFoundError as exc:
            yield (
                subject,
                error(f"{subject} cannot be checked: the package {exc.name} is not installed", SETUP),
            )
        except ImportError as exc:
            yield subject, error(f"{subject} cannot be checked: {_first_line(exc)}", f"the package is broken: {SETUP}")
        except OSError as exc:
            yield (
                subject,
                error(
                    f"{subject} cannot be checked: {exc.strerror or _first_line(exc)}",
                    "check the rights of the file (`ls -l`) and its disk (`findmnt`, the system log)",
                    [("file", str(exc.filename))] if exc.filename else (),
                ),
            )
        except Exception as exc:  # noqa: BLE001  whatever it is: the other subjects have to be checked all the same
            yield (
                subject,
                warning(
                    f"the check of {subject} crashed: {type(exc).__name__}: {_first_line(exc)}",
                    "this is a bug of the doctor; report it with this line",
                    [("raised in", _raised_in(exc))],
                ),
            )


def _first_line(exc: BaseException) -> str:
    return str(exc).partition("\n")[0]


def _raised_in(exc: BaseException) -> str:
    """File and line where an error was raised."""
    trace = exc.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "unknown" if trace is None else f"{Path(trace.tb_frame.f_code.co_filename).name}, line {trace.tb_lineno}"
