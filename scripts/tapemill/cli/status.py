"""`python -m tapemill status`: what a run does, told in another terminal than its own, from its events alone."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Any

from tapemill.events.run_state import RunState, latest_run

if TYPE_CHECKING:
    from rich.console import Console

LOOK_EVERY_S = 1.0


def add_command(commands: Any) -> None:
    """Add `status` to the subcommands of an argument parser."""
    parser = commands.add_parser(
        "status",
        help="show what a run does: stages, tapes, lanes, failures",
        description="Show what the run in this folder does, until it is over: what is done and to do, what runs on "
        "which lane, how long it will take, what failed. Ctrl-C ends the view, and never the run. Without an active "
        "run it says how the last one ended.",
    )
    parser.add_argument("run", nargs="?", metavar="RUN", help="name of a run, or how it begins; the latest by default")
    parser.add_argument("--once", action="store_true", help="print once and end; so it is too if this is no terminal")
    parser.set_defaults(command=_command)


def _command(options: argparse.Namespace) -> int:
    from rich.console import Console

    # Names of scenes and reasons are text and no markup.
    console = Console(markup=False, highlight=False, emoji=False)
    try:
        show(latest_run(options.run), console, once=options.once or not console.is_terminal)
    except KeyboardInterrupt:
        # The way to end it.
        console.show_cursor()
    return 0


def show(course: RunState, console: Console, *, once: bool) -> None:
    """Print how a run stands; unless `once`, keep that up to date until the run is over."""
    from rich.live import Live

    from .status_view import view

    is_last = once or course.is_over
    if is_last:
        console.print(view(course))
        return
    with Live(console=console, auto_refresh=False) as live:
        while True:
            # Past the last line a terminal would scroll, and the picture jump.
            live.update(view(course, most_lines=console.height - 1), refresh=True)
            if is_last:
                return
            time.sleep(LOOK_EVERY_S)
            course.update()
            is_last = course.is_over
