"""The event log, and everything folded from it: attempts, run state, summary, ETA, Prometheus metrics."""

from .log import FOLDER, Follower, Work, begin, read, runs, write

__all__ = ["FOLDER", "Follower", "Work", "begin", "read", "runs", "write"]
