"""Report: HTML pages about a tape and about the runs that made it.

It is a layer above the stages, whose records it reads. The rules import this module while they are parsed, in every
job again, so it imports next to nothing; the jobs import `sampling`, `tape_pages` and `run_page` themselves.
"""

from .page import report_entry

__all__ = ["report_entry"]
