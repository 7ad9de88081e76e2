"""History of the jobs of a tape, from the events of all runs; machine and programs that they ran with."""

from __future__ import annotations

import logging
import platform
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from tapemill import events
from tapemill.core.rule_catalog import scene_rules, stage_rules
from tapemill.events import attempts
from tapemill.events.attempts import Attempt
from tapemill.media.ffmpeg.version import ffmpeg_build, package_version
from tapemill.storage.typed_json import RecordError

from .model import Environment, JobRun, Machine, SceneJobs

LOG = logging.getLogger("tapemill.provenance")

# Facts of an attempt that a reader of the tape's history may want to know (event.schema.yaml).
FACTS: Final = (
    *("seconds", "lane", "device", "device_uuid", "is_warm", "model"),
    *("frames", "frames_per_s", "peak_memory_bytes", "notices"),
)
# The provenance itself is written by the last of them.
OF_TAPE: Final = tuple(rule for rule in stage_rules() if rule != "write_provenance")
OF_SCENE: Final = tuple(scene_rules())
# Packages that process video or audio, or decide how it is processed.
PACKAGES: Final = (
    *("av", "imageio-ffmpeg", "numpy", "openai-whisper", "opencv-python-headless", "pysubs2", "scenedetect-headless"),
    *("silero-vad", "snakemake", "spandrel", "torch", "torchvision"),
)
CPUINFO = Path("/proc/cpuinfo")
# Instruction sets by which libraries choose their code, and thereby the order of sums.
SIMD = re.compile(r"^(sse4_2|avx|avx2|avx_vnni|avx512\w*|amx_\w*|fma|f16c|asimd|asimdhp|sve\d?)$")


def job_runs(tape: str, scenes: Sequence[str], folder: Path = events.FOLDER) -> dict[tuple[str, str], JobRun]:
    """Return the jobs of a tape by rule and scene ("" for the whole tape), each from the latest run that did it.

    Jobs whose events are gone are left out.
    """
    wanted = {(rule, "") for rule in OF_TAPE} | {(rule, scene) for rule in OF_SCENE for scene in scenes}
    found: dict[tuple[str, str], JobRun] = {}
    for run in reversed(events.list_runs(folder)):
        if wanted <= found.keys():
            break
        latest: dict[tuple[str, str], JobRun] = {}
        started = _run_started(run)
        for attempt in attempts.fold_attempts(events.read_events(run, folder)):
            if attempt.tape == tape and attempt.outcome == "done":
                latest[attempt.rule, attempt.scene] = _job_run(started or attempt.started, attempt)
        found = latest | found
    current = {"", *scenes}
    return {key: job for key, job in sorted(found.items()) if key[1] in current}


def by_scene(jobs: Mapping[tuple[str, str], JobRun], scenes: Sequence[str]) -> tuple[SceneJobs, ...]:
    """Group the jobs of single scenes by scene, in the order of `scenes`."""
    grouped: dict[str, dict[str, JobRun]] = {scene: {} for scene in scenes}
    for (rule, scene), job in jobs.items():
        if scene in grouped:
            grouped[scene][rule] = job
    return tuple(SceneJobs(scene, done) for scene, done in grouped.items())


def span(jobs: Iterable[JobRun]) -> tuple[str, str] | None:
    """Start of the first job and end of the last; None without jobs."""
    times = [[datetime.fromisoformat(job.run_started) + timedelta(seconds=edge) for edge in job.span_s] for job in jobs]
    return (_iso(min(start for start, _ in times)), _iso(max(end for _, end in times))) if times else None


def _job_run(run_started: datetime, attempt: Attempt) -> JobRun:
    edges = (attempt.started, attempt.ended or attempt.started)
    required = {
        "run_started": _iso(run_started),
        "span_s": [round((edge - run_started).total_seconds(), 3) for edge in edges],
        "attempts": attempt.number,
    }
    facts = {name: attempt.facts[name] for name in FACTS if attempt.facts.get(name) not in (None, [], "")}
    try:
        return JobRun.from_plain(required | facts)
    except RecordError as error:
        LOG.warning("the events of %s are left out: %s", attempt.log, error)
        return JobRun.from_plain(required)


def machine() -> Machine:
    """Processor that this job runs on, as far as results depend on it."""
    lines = dict(_cpuinfo())
    flags = lines.get("flags", lines.get("Features", "")).split()
    return Machine(
        system=platform.system(),
        architecture=platform.machine(),
        processor=lines.get("model name", ""),
        simd=tuple(sorted(flag for flag in flags if SIMD.match(flag))),
    )


def environment() -> Environment:
    """Programs that are installed where this job runs, in full."""
    return Environment(
        python=platform.python_version(),
        packages={package: package_version(package) for package in PACKAGES},
        ffmpeg=ffmpeg_build(),
    )


def _cpuinfo() -> Iterator[tuple[str, str]]:
    """Entries of the first core."""
    try:
        text = CPUINFO.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    for line in text.partition("\n\n")[0].splitlines():
        name, _, value = line.partition(":")
        yield name.strip(), value.strip()


def _run_started(run: str) -> datetime | None:
    """Time in the name of a run; None if it has another form. The host in it may have its owner's name: not used."""
    try:
        return datetime.strptime(run.partition("-")[0], "%Y%m%dT%H%M%S%z")
    except ValueError:
        return None


def _iso(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds")
