"""Captures and models that moved: their path is no reason to run a job again (Snakemake 9.27.1, `PersistenceBase`).

Upstream: docs/upstream/moved-inputs.md.

Snakemake compares the paths of a job's inputs with the recorded ones, `ancient` inputs included, and params as text. A
capture or a model is known by its content: a fingerprint or a hash in the params of each job that reads it. Its path
is left out of both comparisons.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import replace
from pathlib import PurePath
from typing import Any, Final

RESULTS: Final = "results"
# Params that hold paths of captures. Jobs with one of them have a param `fingerprint`, too.
PATH_PARAMS: Final = ("source", "sources")
# Key of a row of the sheet, for a param that is a whole row.
PATH_KEY: Final = "source"


def ignore_moved_inputs() -> None:
    """Compare inputs within the results only, and params without the paths of captures."""
    from snakemake.persistence import PersistenceBase

    if PersistenceBase._input_changed.__name__ == "has_other_results":
        return
    original = PersistenceBase.params_changed

    def has_other_results(persistence: Any, job: Any, file: Any = None) -> bool:
        version = persistence.record_format_version(file)
        if version is None or version < 4:  # as in Snakemake: older records have no list of inputs
            return False
        recorded = persistence.input(file)
        return recorded is not None and _results(recorded) != _results(persistence._input(job))

    def params_changed(persistence: Any, job: Any, file: Any = None) -> Any:
        change = original(persistence, job, file)
        if not change:
            return change
        paths = {repr(value) for name, value in job.params.items() if name in PATH_PARAMS}
        old, new = _without_paths(change.only_old, change.only_new, paths)
        return replace(change, only_old=old, only_new=new)

    PersistenceBase._input_changed = has_other_results
    PersistenceBase.params_changed = params_changed


def _results(paths: Iterable[Any]) -> list[str]:
    return [str(path) for path in paths if PurePath(str(path)).parts[:1] == (RESULTS,)]


def _without_paths(old: set[Any], new: set[Any], paths: set[str]) -> tuple[set[Any], set[Any]]:
    """Remove from two sets of serialised params what differs by the path of a capture alone.

    `paths` are the job's own params with paths. A path that is new takes the place of one old param of its kind.
    """
    old, new = set(map(_without_path_key, old)), set(map(_without_path_key, new))
    old, new = old - new, new - old
    for path in paths & new:
        before = next((param for param in sorted(map(str, old)) if _is_like(param, path)), None)
        if before is not None:
            old.remove(before)
            new.remove(path)
    return old, new


def _is_like(param: str, path: str) -> bool:
    """Whether a param is a text as `path` is one, or a list of as many texts."""
    one, other = _literal(param), _literal(path)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(isinstance(each, str) for each in one)
    return isinstance(one, str) and isinstance(other, str)


def _without_path_key(param: Any) -> Any:
    value = _literal(param)
    if isinstance(value, dict) and PATH_KEY in value:
        return repr({key: each for key, each in value.items() if key != PATH_KEY})
    return param


def _literal(param: Any) -> Any:
    try:
        return ast.literal_eval(param)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None
