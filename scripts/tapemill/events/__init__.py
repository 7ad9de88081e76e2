"""The event log, and everything folded from it: attempts, run state, summary, ETA, Prometheus metrics."""

from .log import FOLDER, AttemptEventHandler, EventTail, begin, current, read, runs, write

__all__ = ["FOLDER", "AttemptEventHandler", "EventTail", "begin", "current", "read", "runs", "write"]
