"""`tapemill status`: live view of a run, from its events alone."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Any

from tapemill.events.run_state import RunState, latest_run

if TYPE_CHECKING:
    from rich.console import Console

POLL_INTERVAL_S = 1.0


def add_command(commands: Any) -> None:
    """Add `status` to the subcommands of an argument parser."""
    parser = commands.add_parser(
        "status",
        help="show what a run does: stages, tapes, lanes, failures",
        description="Show the run in this folder until it ends: finished and remaining jobs, what runs on "
        "which lane, the time left, failures. Ctrl-C ends the view, never the run. Without an active "
        "run it shows how the last one ended.",
    )
    parser.add_argument("run", nargs="?", metavar="RUN", help="name of a run, or how it begins; the latest by default")
    parser.add_argument("--once", action="store_true", help="print once and exit, as without a terminal")
    parser.set_defaults(command=_command)


def _command(options: argparse.Namespace) -> int:
    from rich.console import Console

    # Names of scenes and reasons are text and no markup.
    console = Console(markup=False, highlight=False, emoji=False)
    try:
        show_run(latest_run(options.run), console, once=options.once or not console.is_terminal)
    except KeyboardInterrupt:
        # Ctrl-C is the usual way to end the view.
        console.show_cursor()
    return 0


def show_run(run: RunState, console: Console, *, once: bool) -> None:
    """Print the state of a run; unless `once`, update it until the run is over."""
    from rich.live import Live

    from .status_view import render_run

    is_last = once or run.is_over
    if is_last:
        console.print(render_run(run))
        return
    with Live(console=console, auto_refresh=False) as live:
        while True:
            # One line less than the terminal has: otherwise it would scroll.
            live.update(render_run(run, most_lines=console.height - 1), refresh=True)
            if is_last:
                return
            time.sleep(POLL_INTERVAL_S)
            run.update()
            is_last = run.is_over
