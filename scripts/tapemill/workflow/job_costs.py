"""Expected times of jobs: the cost model fitted to the benchmarks of this machine.

Benchmarks are read once, when the first time is requested: by the scheduler of a run, or by a plan. Parsing the
Snakefile reads none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from tapemill.core.errors import TapemillError
from tapemill.core.rule_catalog import is_of_tape, rule_info
from tapemill.enhance import EnhanceSettings, NetworkStep, SceneSettings, needs_choice
from tapemill.models import find_model

from . import benchmarks, cost_model
from .benchmarks import JobVariant, MeasuredJob
from .cost_model import SpeedModel
from .job_params import JobParams
from .run_options import RunOptions
from .tape import TapeState
from .workload import TapeLoad, load_of, units_of_job

ResourceFunction = Callable[[Any, str], int]
"""From wildcards and `rulename`, which is Snakemake's name of the parameter."""


class JobCosts:
    """Expected times of the jobs of all tapes."""

    def __init__(
        self,
        tapes: Mapping[str, TapeState],
        enhance: SceneSettings,
        config: Mapping[str, Any],
        has_gpus: Callable[[], bool],
    ) -> None:
        """`has_gpus` is asked once, when the first time is requested. `config` is complete."""
        self._tapes, self._enhance, self._config = tapes, enhance, config
        self._ask_has_gpus = has_gpus
        self._subtitles = config["subtitles"]
        self._speeds: dict[tuple[str, tuple[str, ...]], SpeedModel] = {}

    @classmethod
    def of_workflow(
        cls, workflow: Any, tapes: Mapping[str, TapeState], enhance: SceneSettings, config: Mapping[str, Any]
    ) -> JobCosts:
        """Return the costs for a run of Snakemake's workflow, whose scheduler knows the lanes."""
        # Without a scheduler no job starts.
        return cls(
            tapes,
            enhance,
            config,
            lambda: workflow.scheduler is not None and RunOptions.of_workflow(workflow).has_gpus,
        )

    def resource_function(self, job_params: Callable[[Any], JobParams]) -> ResourceFunction:
        """Return the resource function `expected_s`: whole seconds, at least 1. It is never a reason to rerun."""

        def expected_s(wildcards: Any, rulename: str) -> int:
            return max(1, math.ceil(self.job_seconds(job_params(wildcards), rulename)))

        return expected_s

    def job_seconds(self, job: JobParams, rule: str) -> float:
        """Expected seconds of a job. Raises what `JobParams` raises while facts of the tape are missing."""
        networks = job.networks if rule == "enhance_scene" else ()
        return self.speed(rule, networks).seconds(units_of_job(job, rule))

    def seconds_if_known(self, rule: str, tape: str, scene: str) -> float | None:
        """Expected seconds of a job of the plan; None for an unknown tape, and while facts of the tape are missing."""
        if not is_of_tape(rule):
            return self.speed(rule).seconds(0.0)
        if tape not in self._tapes:
            return None
        state = self._tapes[tape]
        try:
            return self.job_seconds(JobParams(state, scene or None, lambda: state.scene_table, self._enhance), rule)
        except (OSError, LookupError, ValueError, TapemillError):
            return None

    def speed(self, rule: str, networks: Sequence[NetworkStep] = ()) -> SpeedModel:
        """Return the speed of a rule, of `enhance_scene` with these networks: measured in the same way, or default."""
        key = rule, tuple(step.sha256 for step in networks)
        if key not in self._speeds:
            default = cost_model.default_speed(
                rule,
                on_gpu=self._has_gpus and self.requests_gpu(rule, networks),
                networks=networks,
                model=str(self._subtitles["model"]),
                language_scenes=int(self._subtitles["language_scenes"]),
            )
            done = self._measured.get(rule, ())
            self._speeds[key] = cost_model.fit(benchmarks.matching(done, self._variant(rule, networks)), default)
        return self._speeds[key]

    @property
    def measured_jobs(self) -> int:
        """Number of finished jobs behind the speeds requested so far."""
        return sum(speed.jobs for speed in self._speeds.values())

    def requests_gpu(self, rule: str, networks: Sequence[NetworkStep] = ()) -> bool:
        """Whether jobs of a rule request a GPU, of `enhance_scene` with these networks."""
        return bool(networks) or self._encodes_on_gpu if rule == "enhance_scene" else rule_info(rule).uses_gpu

    def _variant(self, rule: str, networks: Sequence[NetworkStep]) -> JobVariant:
        if rule == "enhance_scene":
            names = tuple(step.model for step in networks)
            encoder = self._enhance.of_tape["encoder"]
            return {"networks": tuple(step.sha256 for step in networks), "encoder": encoder, "names": names}
        if rule in ("transcribe_scene", "translate_scene"):
            model = find_model(self._subtitles["model"], {"speech"})
            return {"model": model.sha256, "names": (model.path.stem,)}
        return {}

    @cached_property
    def _has_gpus(self) -> bool:
        return self._ask_has_gpus()

    @cached_property
    def _encodes_on_gpu(self) -> bool:
        return needs_choice(EnhanceSettings(**self._enhance.of_tape))

    @cached_property
    def _measured(self) -> Mapping[str, Sequence[MeasuredJob]]:
        loads: dict[str, TapeLoad | None] = {}

        def known_load(tape: str) -> TapeLoad | None:
            if tape not in loads:
                loads[tape] = self._load(tape)
            return loads[tape]

        return benchmarks.measured_jobs(known_load, has_gpus=self._has_gpus)

    def _load(self, tape: str) -> TapeLoad | None:
        """Work of a probed tape. Facts that cannot be read are the probe's to report."""
        state = self._tapes.get(tape)
        if state is None or not state.paths.capture_record.exists():
            return None
        try:
            return load_of(state, self._enhance, self._config["scenes"]["longest_s"])
        except (OSError, LookupError, ValueError, TapemillError):
            return None
