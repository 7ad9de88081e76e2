"""Disk space of a run: of one job, which starts only with enough free space, and of all tapes.

Everything is calculated from records of earlier jobs and sizes of existing files; no media file is opened.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tapemill.core import result_paths
from tapemill.core.errors import DiskFull
from tapemill.core.rule_catalog import DiskUse, rule_info, tape_rules
from tapemill.core.timing import FrameRange
from tapemill.enhance import EnhanceSettings, plan_output_format
from tapemill.enhance.encoders import ENCODERS
from tapemill.media.capture_info import Capture
from tapemill.media.film.cadence import FilmRate
from tapemill.scenes import Scene
from tapemill.storage import disk_space, mtimes
from tapemill.workflow.job_params import JobParams
from tapemill.workflow.tape import TapeState

from . import file_sizes

UNKNOWN_SHARE: Final = 0.4
"""Least size of a tape's results before its probe, as a share of its capture: the restored video twice, as clips and as
tape, is 0.4 of a capture in FFV1, as much as one in DV, and more than one in H.264."""
SCENE_LONGEST_S: Final = 30


@dataclass(frozen=True)
class TapeSpace:
    """Disk space that one tape of a run will need."""

    tape: str
    folder: Path
    """The tape's folder."""
    stays_bytes: int
    """Size of files that will exist after the run and do not exist yet."""
    passing_bytes: int
    """Maximum size of temporary files."""
    is_guess: bool
    """Whether only the size of the capture is known."""


@dataclass(frozen=True)
class DiskPlan:
    """Disk space that a run will need on one file system."""

    folder: Path
    """One of the folders on it."""
    free_bytes: int
    tapes: tuple[TapeSpace, ...]

    @property
    def stays_bytes(self) -> int:
        """Additional space after the run."""
        return sum(tape.stays_bytes for tape in self.tapes)

    @property
    def peak_bytes(self) -> int:
        """Maximum of additional space. The number of cuts is limited for all tapes together."""
        return self.stays_bytes + max((tape.passing_bytes for tape in self.tapes), default=0)

    def check(self, reserve_bytes: int) -> None:
        """Raise DiskFull if there is less free space."""
        names = ", ".join(tape.tape for tape in self.tapes[:5]) + (" and others" if len(self.tapes) > 5 else "")
        what = f"what is to be made ({names})"
        disk_space.require(self.folder, self.peak_bytes, reserve_bytes=reserve_bytes, what=what)


def plan_disks(
    states: Mapping[str, TapeState],
    wanted: Mapping[str, Collection[str]],
    *,
    enhance: Mapping[str, Any],
    disk: Mapping[str, Any],
    cores: int,
) -> list[DiskPlan]:
    """Plan the disk space of some tapes, by file system.

    `wanted` are the rules to run, by tape; `enhance` is the resolved tape-wide section, `disk` that section; as many
    cuts as `cores` can exist in addition to those that wait. Instant: stats files and reads tables.
    """
    disks: defaultdict[int, list[TapeSpace]] = defaultdict(list)
    for tape, rules in wanted.items():
        state = states[tape]
        works = {work for rule in rules for work in rule_info(rule).disk_use}
        cuts_at_once = None if disk["keep_cuts"] else disk["cut_backlog"] + cores
        need = _TapeNeed(state, EnhanceSettings(**enhance)).still(works, cuts_at_once)
        disks[disk_space.device_id(need.folder)].append(need)
    return [DiskPlan(found[0].folder, disk_space.free_bytes(found[0].folder), tuple(found)) for found in disks.values()]


def check_run(
    jobs: Iterable[Any],
    states: Mapping[str, TapeState],
    config: Mapping[str, Any],
    *,
    later: Iterable[str] = (),
    **how: Any,
) -> None:
    """Check before a run that there is enough free space, that it may write, and that no capture is from the future.

    `jobs` are Snakemake's jobs to run; `later` are tapes that wait in the queue, of which missing outputs count; `how`
    is passed on to `plan_disks`. Raises DiskFull, NotWritable and InputError.
    """
    wanted: defaultdict[str, set[str]] = defaultdict(set)
    for job in jobs:
        if (tape := job.wildcards.get("tape")) in states:
            wanted[tape].add(job.rule.name)
    for tape in later:
        folder = states[tape].paths.folder
        if not (folder / f"{tape}.{config['tape']['container']}").exists():
            wanted[tape].update(tape_rules())
    mtimes.reject_future_mtimes(file for tape in wanted for file in states[tape].files)
    reserve_bytes = int(config["disk"]["reserve_gb"] * disk_space.GB)
    for tape in wanted:
        # Of a full disk the check below says how much space is needed.
        with suppress(DiskFull):
            disk_space.require_writable(states[tape].paths.folder)
    for disk in plan_disks(states, wanted, disk=config["disk"], **how):
        disk.check(reserve_bytes)


def disk_mb(job: JobParams, work: DiskUse) -> int:
    """Whole MB (of 1,000,000 bytes) that a job will write, at least 1. Raises what `JobParams` raises."""
    need = _TapeNeed(job.tape, EnhanceSettings(**job.enhance.of_tape))
    capture = job.capture
    if work == "tape":
        # Not the job's scenes: while they are detected again, Snakemake (9.27.1) fails if a resource requests them.
        number = need.tape(capture, need.scenes(capture))
    elif work == "tape_audio":
        number = need.sound(capture) + need.raw_sound(capture)
    else:
        number = need.of_scene(work, capture, job.frames)
    return max(1, math.ceil(number / disk_space.MB))


@dataclass(frozen=True)
class _TapeNeed:
    """Sizes of the files of one tape."""

    state: TapeState
    settings: EnhanceSettings

    @property
    def folder(self) -> Path:
        return self.state.paths.folder

    def still(self, works: Collection[DiskUse], cuts_at_once: int | None) -> TapeSpace:
        """Space for files of some kinds that do not exist yet. `cuts_at_once` None: all cuts are kept."""
        tape = self.state.row.tape
        try:
            capture = self.state.capture
        except FileNotFoundError:
            size = sum(file.stat().st_size for file in self.state.files if file.exists()) if works else 0
            return TapeSpace(tape, self.folder, int(UNKNOWN_SHARE * size), 0, is_guess=True)
        scenes = self.scenes(capture)
        stays, passing = 0, 0
        if "clip" in works:
            missing = self._missing(scenes, result_paths.CLIP)
            stays += sum(self.of_scene("clip", capture, frames) for frames in missing)
            cuts = sorted(self.of_scene("cut", capture, frames) for frames in missing)
            stays += sum(cuts) if cuts_at_once is None else 0
            passing += sum(cuts[-cuts_at_once:]) if cuts_at_once else 0
        if "speech_audio" in works:
            stays += sum(
                self.of_scene("speech_audio", capture, n) for n in self._missing(scenes, result_paths.SPEECH_AUDIO)
            )
        if "tape_audio" in works:
            stays += self.sound(capture)
            passing += self.raw_sound(capture)
        if "tape" in works:
            stays += self.tape(capture, scenes)
        return TapeSpace(tape, self.folder, stays, passing, is_guess=False)

    def of_scene(self, work: DiskUse, capture: Capture, frames: int) -> int:
        """Size of a file of one scene with so many frames of the capture."""
        if work == "cut":
            return file_sizes.cut_bytes(capture.picture, frames, next(iter(capture.sounds), None))
        if work == "speech_audio":
            return file_sizes.speech_bytes(frames / capture.picture.rate)
        output = plan_output_format(capture.picture, self.settings, self._film_rate)
        usual = ENCODERS[self.settings.encoder].crf
        pictures = output.frames(frames)
        size = (output.pixel_format, output.width, output.height)
        return file_sizes.clip_bytes(*size, pictures, crf=self.settings.crf, usual_crf=usual)

    @property
    def _film_rate(self) -> FilmRate | None:
        """Film frames a second, if the scenes are known and the tape is made as film."""
        table = self.state.scene_table
        if table is None or not table.exists() or self.settings.deinterlace == "off":
            return None
        return next((scene.film.rate for scene in self.state.scenes(table).values() if scene.film), None)

    def sound(self, capture: Capture) -> int:
        """Size of the tape's audio."""
        return file_sizes.sound_bytes(capture.sounds, capture.frames / capture.picture.rate)

    def raw_sound(self, capture: Capture) -> int:
        """Size of the raw audio from which it is made."""
        return file_sizes.raw_sound_bytes(capture.sounds, capture.frames / capture.picture.rate)

    def tape(self, capture: Capture, scenes: Iterable[Scene]) -> int:
        """Size of the tape: its clips and its audio, by existing files where there are any."""
        total = _size(self.folder / result_paths.TAPE_AUDIO, self.sound(capture))
        for scene in scenes:
            clip = self.state.paths.clip(scene.id)
            total += _size(clip, self.of_scene("clip", capture, scene.span.frames))
        return int(total * file_sizes.CONTAINER_SHARE)

    def scenes(self, capture: Capture) -> list[Scene]:
        """Scenes of the tape; before their detection, scenes of the maximum length."""
        table = self.state.scene_table
        if table is None or table.exists():
            return list(self.state.scenes(table).values())
        rate, longest = capture.picture.rate, int(SCENE_LONGEST_S * capture.picture.rate)
        starts = range(0, capture.frames, max(1, longest))
        return [Scene("unknown", FrameRange(start, min(start + longest, capture.frames)), rate) for start in starts]

    def _missing(self, scenes: Iterable[Scene], pattern: str) -> list[int]:
        """Lengths in frames of the scenes whose file is not there."""
        return [scene.span.frames for scene in scenes if not self.state.paths.path(pattern, scene=scene.id).exists()]


def _size(file: Path, otherwise: int) -> int:
    """Size of a file, or the expected one if it does not exist yet."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return otherwise
