"""Inspection of the rules' functions at every call (Snakemake 9.27.1, `common.get_function_params`).

Upstream: docs/upstream/function-params.md.
"""

from __future__ import annotations

import functools


def cache_function_params() -> None:
    """Inspect the parameters of each function of the rules once, instead of at every call.

    Snakemake calls them some twenty times for each job of a plan; the inspection took a tenth of the time.
    """
    from snakemake import common, rules

    if not hasattr(common.get_function_params, "cache_info"):
        common.get_function_params = rules.get_function_params = functools.cache(common.get_function_params)
