"""The event log, and everything folded from it: attempts, run state, summary, ETA, Prometheus metrics."""

from .log import FOLDER, AttemptEventHandler, EventTail, emit, list_runs, read_events, run_name, start_log

__all__ = ["FOLDER", "AttemptEventHandler", "EventTail", "emit", "list_runs", "read_events", "run_name", "start_log"]
