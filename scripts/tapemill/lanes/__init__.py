"""Lanes: assignment of GPUs to jobs, and the warm worker of each GPU.

torch is imported only once the GPU is chosen.
"""

from .dispatch import run_on_lane
from .settings import LanesSettings

__all__ = ["LanesSettings", "run_on_lane"]
