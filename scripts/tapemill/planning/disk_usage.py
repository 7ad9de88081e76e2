"""What a run will need of the disk: for one job, so that it is not begun in vain, and for all tapes of a run.

Everything is reckoned from what earlier jobs found out and from the sizes of files that are there; nothing is opened as
media.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tapemill.core import result_paths
from tapemill.core.rule_catalog import DiskUse, rule_info, tape_rules
from tapemill.core.timing import FrameRange
from tapemill.enhance import EnhanceSettings, plan_output_format
from tapemill.enhance.encoders import ENCODERS
from tapemill.media.capture_info import Capture
from tapemill.scenes import Scene
from tapemill.storage import disk_space, mtimes
from tapemill.workflow.job_params import JobParams
from tapemill.workflow.tape import TapeState

from . import file_sizes

UNKNOWN_SHARE: Final = 0.4
"""What a tape takes at least, as a share of its capture, before that was looked into: the restored picture twice, as
clips and as tape, is 0.4 of a capture in FFV1, as much as one in DV, and more than one in H.264."""
SCENE_LONGEST_S: Final = 30


@dataclass(frozen=True)
class TapeSpace:
    """What one tape of a run will need."""

    tape: str
    folder: Path
    """Its folder, on whatever disk that is."""
    stays_bytes: int
    """Of files that will be there afterwards and are not yet."""
    passing_bytes: int
    """Of files that come and go meanwhile, at the most."""
    is_guess: bool
    """Whether nothing but the size of the capture is known."""


@dataclass(frozen=True)
class DiskPlan:
    """What a run will need on one file system."""

    folder: Path
    """One of the folders on it."""
    free_bytes: int
    tapes: tuple[TapeSpace, ...]

    @property
    def stays_bytes(self) -> int:
        """What will be taken after the run."""
        return sum(tape.stays_bytes for tape in self.tapes)

    @property
    def peak_bytes(self) -> int:
        """What will be taken at the most. How many cuts there are is bounded for all tapes together."""
        return self.stays_bytes + max((tape.passing_bytes for tape in self.tapes), default=0)

    def check(self, reserve_bytes: int) -> None:
        """Raise DiskFull if that is more than there is."""
        names = ", ".join(tape.tape for tape in self.tapes[:5]) + (" and others" if len(self.tapes) > 5 else "")
        what = f"what is to be made ({names})"
        disk_space.require(self.folder, self.peak_bytes, reserve_bytes=reserve_bytes, what=what)


def plan(
    lookups: Mapping[str, TapeState],
    wanted: Mapping[str, Collection[str]],
    *,
    enhance: Mapping[str, Any],
    disk: Mapping[str, Any],
    cores: int,
) -> list[DiskPlan]:
    """What is still to be made of some tapes, by file system.

    `wanted` are the rules that are to run, by tape; `enhance` the tape-wide section written out, `disk` that section;
    so many cuts as `cores` can be there beyond those that wait. Instant: stats files and reads tables.
    """
    disks: defaultdict[int, list[TapeSpace]] = defaultdict(list)
    for tape, rules in wanted.items():
        lookup = lookups[tape]
        works = {work for rule in rules for work in rule_info(rule).disk_use}
        cuts_at_once = None if disk["keep_cuts"] else disk["cut_backlog"] + cores
        need = _TapeNeed(lookup, EnhanceSettings(**enhance)).still(works, cuts_at_once)
        disks[disk_space.device_id(need.folder)].append(need)
    return [DiskPlan(found[0].folder, disk_space.free_bytes(found[0].folder), tuple(found)) for found in disks.values()]


def check_run(
    jobs: Iterable[Any],
    lookups: Mapping[str, TapeState],
    config: Mapping[str, Any],
    *,
    later: Iterable[str] = (),
    **how: Any,
) -> None:
    """See, before a run begins, that there is room for it, that it may write, and that no capture is from the future.

    `jobs` are Snakemake's, those that are to run; `later` are tapes that wait in the queue, of which what is missing
    counts; `how` is passed on to `plan`. Raises DiskFull, NotWritable and InputError.
    """
    wanted: defaultdict[str, set[str]] = defaultdict(set)
    for job in jobs:
        if (tape := job.wildcards.get("tape")) in lookups:
            wanted[tape].add(job.rule.name)
    for tape in later:
        folder = lookups[tape].paths.folder
        if not (folder / f"{tape}.{config['tape']['container']}").exists():
            wanted[tape].update(tape_rules())
    mtimes.reject_future_mtimes(file for tape in wanted for file in lookups[tape].files)
    reserve_bytes = int(config["disk"]["reserve_gb"] * disk_space.GB)
    for tape in wanted:
        disk_space.require_writable(lookups[tape].paths.folder)
    for disk in plan(lookups, wanted, disk=config["disk"], **how):
        disk.check(reserve_bytes)


def disk_mb(job: JobParams, work: DiskUse) -> int:
    """Whole MB (of 1,000,000 bytes) that a job will write, at least 1. Raises what `JobParams` raises."""
    need = _TapeNeed(job.tape, EnhanceSettings(**job.enhance.of_tape))
    capture = job.capture
    if work == "tape":
        # Not the job's scenes: while they are looked for anew, Snakemake (9.27.1) fails if a resource asks for them.
        number = need.tape(capture, need.scenes(capture))
    elif work == "sound":
        number = need.sound(capture) + need.raw_sound(capture)
    else:
        number = need.of_scene(work, capture, job.frames)
    return max(1, math.ceil(number / disk_space.MB))


@dataclass(frozen=True)
class _TapeNeed:
    """Sizes of the files of one tape."""

    lookup: TapeState
    settings: EnhanceSettings

    @property
    def folder(self) -> Path:
        return self.lookup.paths.folder

    def still(self, works: Collection[DiskUse], cuts_at_once: int | None) -> TapeSpace:
        """What has to be made yet of some kinds of files. `cuts_at_once` None: all cuts stay."""
        tape = self.lookup.row.tape
        try:
            capture = self.lookup.capture
        except FileNotFoundError:
            size = sum(file.stat().st_size for file in self.lookup.files if file.exists()) if works else 0
            return TapeSpace(tape, self.folder, int(UNKNOWN_SHARE * size), 0, is_guess=True)
        scenes = self.scenes(capture)
        stays, passing = 0, 0
        if "clip" in works:
            missing = self._missing(scenes, result_paths.CLIP)
            stays += sum(self.of_scene("clip", capture, frames) for frames in missing)
            cuts = sorted(self.of_scene("cut", capture, frames) for frames in missing)
            stays += sum(cuts) if cuts_at_once is None else 0
            passing += sum(cuts[-cuts_at_once:]) if cuts_at_once else 0
        if "speech" in works:
            stays += sum(self.of_scene("speech", capture, n) for n in self._missing(scenes, result_paths.SPEECH_AUDIO))
        if "sound" in works:
            stays += self.sound(capture)
            passing += self.raw_sound(capture)
        if "tape" in works:
            stays += self.tape(capture, scenes)
        return TapeSpace(tape, self.folder, stays, passing, is_guess=False)

    def of_scene(self, work: DiskUse, capture: Capture, frames: int) -> int:
        """A file of one scene of so many frames of the capture."""
        if work == "cut":
            return file_sizes.cut_bytes(capture.picture, frames, next(iter(capture.sounds), None))
        if work == "speech":
            return file_sizes.speech_bytes(frames / capture.picture.rate)
        output = plan_output_format(capture.picture, self.settings)
        usual = ENCODERS[self.settings.encoder].crf
        pictures = frames * output.frames_per_frame
        size = (output.pixel_format, output.width, output.height)
        return file_sizes.clip_bytes(*size, pictures, crf=self.settings.crf, usual_crf=usual)

    def sound(self, capture: Capture) -> int:
        """The tape's sound."""
        return file_sizes.sound_bytes(capture.sounds, capture.frames / capture.picture.rate)

    def raw_sound(self, capture: Capture) -> int:
        """What it is made from."""
        return file_sizes.raw_sound_bytes(capture.sounds, capture.frames / capture.picture.rate)

    def tape(self, capture: Capture, scenes: Iterable[Scene]) -> int:
        """The tape: its clips and its sound, as large as they are if they are there."""
        total = _size(self.folder / result_paths.TAPE_AUDIO, self.sound(capture))
        for scene in scenes:
            clip = self.lookup.paths.clip(scene.id)
            total += _size(clip, self.of_scene("clip", capture, scene.span.frames))
        return int(total * file_sizes.CONTAINER_SHARE)

    def scenes(self, capture: Capture) -> list[Scene]:
        """The tape's scenes; before they were looked for, as if all were of the greatest length."""
        table = self.lookup.scene_table
        if table is None or table.exists():
            return list(self.lookup.scenes(table).values())
        rate, longest = capture.picture.rate, int(SCENE_LONGEST_S * capture.picture.rate)
        starts = range(0, capture.frames, max(1, longest))
        return [Scene("unknown", FrameRange(start, min(start + longest, capture.frames)), rate) for start in starts]

    def _missing(self, scenes: Iterable[Scene], pattern: str) -> list[int]:
        """Lengths in frames of the scenes whose file is not there."""
        return [scene.span.frames for scene in scenes if not self.lookup.paths.path(pattern, scene=scene.id).exists()]


def _size(file: Path, otherwise: int) -> int:
    """Of a file, or what is expected where there is none yet."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return otherwise
