"""The report: pages that show what became of a tape, and of the runs that made it. Everything in them is text or drawn.

It stands above the stages, whose records it reads. Here is what the rules ask while they are read, for every job anew,
so this imports next to nothing; the jobs take `sampling`, `tape_pages` and `run_page` by themselves.
"""

from .page import report_entry

__all__ = ["report_entry"]
