"""`tapemill metrics`: print the numbers of a run for Prometheus."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from tapemill.events.prometheus import METRICS_FILE, format_metrics
from tapemill.events.run_state import latest_run


def add_command(commands: Any) -> None:
    """Add `metrics` to the subcommands of an argument parser."""
    parser = commands.add_parser(
        "metrics",
        help="print the numbers of a run for Prometheus",
        description="Print the numbers of a run in Prometheus' text format, from its events. Those of the latest run "
        f"are in {METRICS_FILE} as well.",
    )
    parser.add_argument("run", nargs="?", metavar="RUN", help="name of a run, or how it begins; the latest by default")
    parser.set_defaults(command=_command)


def _command(options: argparse.Namespace) -> int:
    sys.stdout.write(format_metrics(latest_run(options.run)))
    return 0
