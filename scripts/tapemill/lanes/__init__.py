"""Lanes: which card a job runs on, and the worker that waits there.

Importing this is light: torch is imported once the card is chosen.
"""

from .dispatch import run_on_lane
from .settings import LanesSettings

__all__ = ["LanesSettings", "run_on_lane"]
