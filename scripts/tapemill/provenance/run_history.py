"""Who did the work on a tape, where, when and how long it took: times and places, from the events of all runs."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from tapemill import events
from tapemill.core.rule_catalog import OTHER, scene_rules, stage_of, tape_rules
from tapemill.events import attempts
from tapemill.events.attempts import Attempt
from tapemill.media.ffmpeg.version import ffmpeg_build, package_version

# What an attempt told and a reader of the tape's history may want to know (event.schema.yaml).
FACTS: Final = (
    *("seconds", "lane", "device", "device_uuid", "is_warm", "model"),
    *("frames", "frames_per_s", "peak_memory_bytes", "notices"),
)
# The provenance itself is written by the last of them.
OF_TAPE: Final = tuple(rule for rule in tape_rules() if stage_of(rule) != OTHER and rule != "write_provenance")
OF_SCENE: Final = tuple(scene_rules())
# Packages that touch picture or sound, or decide on what is done to them.
PACKAGES: Final = (
    *("av", "imageio-ffmpeg", "numpy", "openai-whisper", "opencv-python-headless", "pysubs2", "scenedetect-headless"),
    *("silero-vad", "snakemake", "spandrel", "torch", "torchvision"),
)
CPUINFO = Path("/proc/cpuinfo")
# Instruction sets by which libraries choose their code, and with it the order of sums.
SIMD = re.compile(r"^(sse4_2|avx|avx2|avx_vnni|avx512\w*|amx_\w*|fma|f16c|asimd|asimdhp|sve\d?)$")


@dataclass(frozen=True)
class Work:
    """One job that was done: its last attempt that ended well."""

    run_started: datetime
    """When its run was started."""
    attempt: Attempt

    def to_plain(self) -> dict[str, Any]:
        """As JSON values."""
        attempt = self.attempt
        return {
            "run_started": _iso(self.run_started),
            "span_s": [self._since_run_s(attempt.started), self._since_run_s(attempt.ended or attempt.started)],
            "attempts": attempt.number,
            **{name: attempt.facts[name] for name in FACTS if attempt.facts.get(name) not in (None, [], "")},
        }

    def _since_run_s(self, time: datetime) -> float:
        return round((time - self.run_started).total_seconds(), 3)


def works(tape: str, scenes: Sequence[str], folder: Path = events.FOLDER) -> dict[tuple[str, str], Work]:
    """The work on a tape by rule and scene ("" for jobs of the whole tape), each from the latest run that did it.

    Jobs whose events are gone are left out.
    """
    wanted = {(rule, "") for rule in OF_TAPE} | {(rule, scene) for rule in OF_SCENE for scene in scenes}
    found: dict[tuple[str, str], Work] = {}
    for run in reversed(events.list_runs(folder)):
        if wanted <= found.keys():
            break
        latest: dict[tuple[str, str], Work] = {}
        started = _run_started(run)
        for attempt in attempts.fold_attempts(events.read_events(run, folder)):
            if attempt.tape == tape and attempt.outcome == "done":
                latest[attempt.rule, attempt.scene] = Work(started or attempt.started, attempt)
        found = latest | found
    current = {"", *scenes}
    return {key: work for key, work in sorted(found.items()) if key[1] in current}


def to_plain(found: Mapping[tuple[str, str], Work], scenes: Sequence[str]) -> dict[str, Any]:
    """As JSON values: jobs of the tape by rule, and those of each scene."""
    plain = {key: work.to_plain() for key, work in found.items()}
    times = [(work.attempt.started, work.attempt.ended or work.attempt.started) for work in found.values()]
    return {
        "started": _iso(min(start for start, _ in times)) if times else None,
        "ended": _iso(max(end for _, end in times)) if times else None,
        "jobs": {rule: job for (rule, scene), job in plain.items() if not scene},
        "scenes": [
            {"scene": each, **{rule: job for (rule, scene), job in plain.items() if scene == each}} for each in scenes
        ],
    }


def machine() -> dict[str, Any]:
    """The processor that this job runs on, as far as results depend on it."""
    lines = dict(_cpuinfo())
    flags = lines.get("flags", lines.get("Features", "")).split()
    return {
        "system": platform.system(),
        "architecture": platform.machine(),
        "processor": lines.get("model name", ""),
        "simd": sorted(flag for flag in flags if SIMD.match(flag)),
    }


def environment() -> dict[str, Any]:
    """The programs that are installed where this job runs, in full."""
    build = ffmpeg_build()
    return {
        "python": platform.python_version(),
        "packages": {package: package_version(package) for package in PACKAGES},
        "ffmpeg": build
        and {
            "id": build.id,
            "version": build.version,
            "configuration": build.configuration,
            "libraries": dict(build.libraries),
        },
    }


def _cpuinfo() -> Iterator[tuple[str, str]]:
    """Of the first core."""
    try:
        text = CPUINFO.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    for line in text.partition("\n\n")[0].splitlines():
        name, _, value = line.partition(":")
        yield name.strip(), value.strip()


def _run_started(run: str) -> datetime | None:
    """From the name of the run; None if it has another one. Its host, which may bear its owner's name, stays behind."""
    try:
        return datetime.strptime(run.partition("-")[0], "%Y%m%dT%H%M%S%z")
    except ValueError:
        return None


def _iso(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds")
