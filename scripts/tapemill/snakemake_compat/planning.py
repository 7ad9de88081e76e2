"""Patches that make planning right and quick, applied where a plan is made and not where rules are only read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from .ancient_inputs import patch_needrun_across_ancient
from .gc_threshold import raise_gc_threshold
from .moved_inputs import ignore_moved_inputs
from .params_cache import cache_function_params

INSPECTIONS: Final = frozenset(
    {"--lint", "--list-rules", "--list", "-l", "--list-target-rules", "--lt", "--list-resources", "--lr"}
    | {"--print-compilation", "--help", "-h", "--version", "-v"}
)
"""Options of Snakemake with which it reads the rules, and plans nothing."""


def prepare_planning(arguments: Sequence[str]) -> None:
    """Apply the patches, unless the `arguments` of Snakemake's command line only inspect the rules."""
    if INSPECTIONS & {argument.partition("=")[0] for argument in arguments}:
        return
    raise_gc_threshold()
    cache_function_params()
    patch_needrun_across_ancient()
    ignore_moved_inputs()
