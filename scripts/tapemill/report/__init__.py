"""The report: pages that show what became of a tape, and of the runs that made it. Everything in them is text or drawn.

It stands above the stages, whose records it reads. Importing this is light: OpenCV and matplotlib are imported by the
functions that use them.
"""

from .run_page import draw_runs
from .sampling import TapeFacts, sample_tape
from .score import can_be_scored
from .tape_pages import TapePages, draw_tape, headline

__all__ = ["TapeFacts", "TapePages", "can_be_scored", "draw_runs", "draw_tape", "headline", "sample_tape"]
