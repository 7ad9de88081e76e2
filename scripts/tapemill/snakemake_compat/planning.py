"""Patches that make planning right and quick, applied where a plan is made and not where rules are only read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from .ancient_inputs import patch_needrun_across_ancient
from .gc_threshold import raise_gc_threshold
from .params_cache import cache_function_params
from .persistence import keep_failed_outputs_marked
from .rerun_reasons import compare_what_matters, ignore_times_of_recorded_results
from .retries import keep_retries_through_checkpoints

INSPECTIONS: Final = frozenset(
    {"--lint", "--list-rules", "--list", "-l", "--list-target-rules", "--lt", "--list-resources", "--lr"}
    | {"--print-compilation", "--help", "-h", "--version", "-v"}
)
"""Options of Snakemake with which it reads the rules, and plans nothing."""


def prepare_planning(arguments: Sequence[str], is_as_recorded: Callable[[Path], bool]) -> None:
    """Apply the patches, unless the `arguments` of Snakemake's command line only inspect the rules.

    `is_as_recorded` tells whether a result has the content that its tape was finished with.
    """
    if INSPECTIONS & {argument.partition("=")[0] for argument in arguments}:
        return
    raise_gc_threshold()
    cache_function_params()
    patch_needrun_across_ancient()
    keep_retries_through_checkpoints()
    compare_what_matters()
    ignore_times_of_recorded_results(is_as_recorded)
    # In the processes of jobs, too, which come before the main process.
    keep_failed_outputs_marked()
