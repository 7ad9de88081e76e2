"""Reasons to run a job again that are none (Snakemake 9.27.1, `PersistenceBase`, `_IOFile.is_newer`).

Upstream: docs/upstream/moved-inputs.md, docs/upstream/copied-results.md, docs/upstream/params-as-text.md.

Snakemake compares the paths of a job's inputs with the recorded ones, `ancient` inputs included. A capture or a model
is known by its content: a fingerprint or a hash in the params of each job that reads it. Its path is no reason.

It compares params as text, so the order of the keys of a section counts, and a key that a new version of Tapemill has
added. A new key that has its default is no reason, and neither is one that no section has any more.

A result that was copied by a program that keeps no file times has a time without meaning. Snakemake compares contents
only of inputs below a megabyte, and only where its record of the output is there. Finished tapes have checksums.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path, PurePath
from typing import Any, Final

from tapemill.config.schema import schema

RESULTS: Final = "results"
# Params that hold paths of captures. Jobs with one of them have a param `fingerprint`, too.
PATH_PARAMS: Final = ("source", "sources")
# Key of a row of the sheet, for a param that is a whole row.
PATH_KEY: Final = "source"


def compare_what_matters() -> None:
    """Compare inputs within the results only, and params by what they mean."""
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
        old, new = essential_change(change.only_old, change.only_new, paths)
        return replace(change, only_old=old, only_new=new)

    PersistenceBase._input_changed = has_other_results
    PersistenceBase.params_changed = params_changed


def ignore_times_of_recorded_results(is_as_recorded: Callable[[Path], bool]) -> None:
    """Take no input for newer than an output if `is_as_recorded` holds for its path."""
    from snakemake.io import _IOFile

    original = _IOFile.is_newer
    if original.__name__ == "is_changed":
        return

    async def is_changed(file: Any, time: float) -> bool:
        return await original(file, time) and not is_as_recorded(Path(file))

    _IOFile.is_newer = is_changed


def _results(paths: Iterable[Any]) -> list[str]:
    return [str(path) for path in paths if PurePath(str(path)).parts[:1] == (RESULTS,)]


def essential_change(old: set[Any], new: set[Any], paths: set[str]) -> tuple[set[Any], set[Any]]:
    """Remove from two sets of params as text what is no reason to run a job again.

    `paths` are the job's own params with paths. A path that is new takes the place of one old param of its kind. A
    param that is None is the same as none: a new version may have more of them.
    """
    old, new = set(map(_reduced, old)) - {repr(None)}, set(map(_reduced, new)) - {repr(None)}
    old, new = old - new, new - old
    for is_same, changed in ((_is_like, paths & new), (_has_the_same_settings, set(new))):
        for param in changed & new:
            before = next((each for each in sorted(map(str, old)) if is_same(each, param)), None)
            if before is not None:
                old.remove(before)
                new.remove(param)
    return old, new


def _is_like(param: str, path: str) -> bool:
    """Whether a param is a text as `path` is one, or a list of as many texts."""
    one, other = _literal(param), _literal(path)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(isinstance(each, str) for each in one)
    return isinstance(one, str) and isinstance(other, str)


def _has_the_same_settings(param: str, other: str) -> bool:
    """Whether two params are one section of the config before and after keys were added or removed by a new version."""
    before, after = _literal(param), _literal(other)
    if not (isinstance(before, dict) and isinstance(after, dict)) or not before.keys() & after.keys():
        return False
    defaults = _defaults()
    return (
        all(after[key] == each for key, each in before.items() if key in after)
        and all(repr(after[key]) in defaults.get(key, ()) for key in after.keys() - before.keys())
        and not any(key in defaults for key in before.keys() - after.keys())
    )


@cache
def _defaults() -> dict[str, set[str]]:
    """Defaults of each key, as text, in whatever section it is."""
    found: dict[str, set[str]] = {}
    for section in schema("config")["properties"].values():
        for key, rule in section.get("properties", {}).items():
            found.setdefault(key, set()).add(repr(rule.get("default")))
    return found


def _reduced(param: Any) -> Any:
    """Reduce a mapping to what is no path of a capture, in the order of its keys."""
    value = _literal(param)
    if not isinstance(value, dict):
        return param
    return repr({key: value[key] for key in sorted(value, key=str) if key != PATH_KEY})


def _literal(param: Any) -> Any:
    try:
        return ast.literal_eval(param)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None
