"""Models that jobs of a run read, checked before it starts.

Jobs of a finished tape are planned without its models, which nobody needs until one of them has to run.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from tapemill.core.errors import ModelError
from tapemill.enhance import EnhanceSettings
from tapemill.enhance.chain import Chain
from tapemill.workflow.job_params import require_network

SPEECH_RULES: Final = frozenset({"detect_language", "transcribe_scene", "translate_scene"})


def require_models(jobs: Iterable[Any]) -> None:
    """Raise ModelError if one of Snakemake's jobs that are to run lacks the model that it reads."""
    for job in jobs:
        tape = job.wildcards.get("tape")
        if job.rule.name in SPEECH_RULES and not job.input.get("model"):
            raise ModelError(
                f"a job of {tape} reads the speech model, which is missing",
                remedy="run `snakemake fetch_models` once",
            )
        if job.rule.name == "enhance_scene":
            for step in Chain.of(EnhanceSettings(**job.params.settings)).networks:
                require_network(step)
