"""Cut one scene out of a capture: every frame of its range, losslessly, at a constant rate, with its audio.

ffmpeg starts decoding at a keyframe shortly before the scene. Its encoder statistics record which source frames were
encoded (the decoder's own time stamp of each); they are compared with the frames of the grid. A seek that landed wrong
is thereby noticed, and the scene cut again from further back.
"""

from __future__ import annotations

import logging
import math
from fractions import Fraction
from pathlib import Path

import numpy as np

from tapemill.core.errors import GateError, OnSceneFailure, SceneError, WriteFailed
from tapemill.core.job_warnings import STANDS_IN_TAG, JobWarning
from tapemill.core.progress import report
from tapemill.core.timing import FrameRange
from tapemill.media import ffmpeg
from tapemill.media.capture_info import SourceFileInfo, VideoInfo
from tapemill.media.ffmpeg.limits import MAX_KEYFRAME_DISTANCE_S
from tapemill.media.field_holes import HOLES_TAG, find_holes, holes_to_tag
from tapemill.media.probe import open_media
from tapemill.storage import atomic

from .encode import CutSpec, RawAudio, cut_out_filter, field_mode, tag, write_audio, write_black, write_video
from .frame_mapping import (
    DisplayedFrames,
    begins_in_time,
    count_own_frames,
    count_wrong,
    expected_frames,
    frame_positions,
    parse_encoder_stats,
)
from .verify import check_cut, count_frames

LOG = logging.getLogger("tapemill.scenes")

# How far before the scene decoding starts; None is the start of the file. Two seconds reach a keyframe in nearly all
# captures, even if the container has no index.
SEEKS_BACK_S = (Fraction(2), Fraction(20), None)
# By default ffmpeg fails if it cannot decode two thirds of the frames.
NO_ERROR_LIMIT = ("-max_error_rate", "1")


def cut_scene(
    *,
    source: Path,
    take: SourceFileInfo,
    sound_stream: int | None,
    span: FrameRange,
    target: Path,
    picture: VideoInfo,
    threads: int,
    on_failure: OnSceneFailure = "stop",
) -> list[JobWarning]:
    """Write frames [start, stop) of the capture's grid as FFV1 in Matroska, and their audio as FLAC.

    Samples keep their format and range; the frames are marked with the field order of `picture`. `threads` changes the
    speed, never the result. Frames that cannot be decoded are substituted by their neighbours, which is returned as a
    warning and recorded in a tag of the file. With `on_failure` "keep_original" any number of frames is substituted,
    and the scene is black if it has no frame at all; otherwise it raises GateError if the scene is incomplete even when
    decoded from the start of the file, ToolFailed if ffmpeg fails.
    """
    spec = CutSpec(take.located(source), take, span, picture, threads)
    with atomic.staged(target) as partial, atomic.scratch_dir(target) as folder:
        audio = None if sound_stream is None else write_audio(spec, sound_stream, folder / "sound.f32")
        stats = folder / "shown.txt"
        shown: DisplayedFrames | None
        try:
            shown, damage = _cut_with_retries(spec, audio, stats, partial)
            _check(spec, audio, partial, target)
        except SceneError as error:
            if on_failure == "stop":
                raise
            LOG.warning("the scene cannot be decoded: %s: %s", type(error).__name__, error)
            shown, damage = _substitute_frames(spec, audio, stats, partial)
            _check(spec, audio, partial, target)
        if damage:
            LOG.warning("%s", damage)
        tags = {STANDS_IN_TAG: damage, HOLES_TAG: _holes(spec, shown)}
        if any(tags.values()):
            tag(partial, folder / "tagged.mkv", {name: text for name, text in tags.items() if text})
    report(f"{span.frames} frames", frames=span.frames)
    return [JobWarning("stands_in", damage)] if damage else []


def _check(spec: CutSpec, audio: RawAudio | None, partial: Path, target: Path) -> None:
    stats = audio.heard if audio else None
    check_cut(partial, target=target, span=spec.span, sound=stats, source=spec.source, take=spec.take)


def _holes(spec: CutSpec, shown: DisplayedFrames | None) -> str:
    """Return the tag for the holes of an interlaced scene; empty if there are none."""
    if shown is None or spec.picture.field_order == "progressive":
        return ""
    holes = find_holes(shown.numbers.tolist(), frame_positions(shown, spec.take, spec.span))
    return holes_to_tag(holes) if holes else ""


def _cut_with_retries(spec: CutSpec, audio: RawAudio | None, stats: Path, partial: Path) -> tuple[DisplayedFrames, str]:
    """Cut, decoding from further back until all frames are right. Returns them and a description of damage."""
    take, span = spec.take, spec.span
    expected = expected_frames(spec.source, take, span)
    shown: DisplayedFrames | None = None
    for back_s in SEEKS_BACK_S:
        previous, shown = shown, _cut(spec, back_s, audio, stats, partial)
        wrong = count_wrong(shown, expected, take, from_start=_from_start(spec, back_s))
        # Twice the same frames from different seeks: the capture is damaged, not the seek wrong.
        is_stable = previous is not None and np.array_equal(shown.times, previous.times)
        if not wrong or _from_start(spec, back_s) or (is_stable and begins_in_time(shown, take, span)):
            break
        LOG.info("decoding from %s s before frame %d gave %d wrong frames", back_s, span.start_frame, wrong)
    assert shown is not None
    if len(shown.times) != span.frames:
        raise GateError(
            f"{len(shown.times)} frames were decoded of the {span.frames} from frame {span.start_frame} on",
            file=spec.source,
            tool="ffmpeg",
            remedy="this part of the capture cannot be decoded; play it there to see what it is",
        )
    return shown, f"{wrong} of {span.frames} frames cannot be decoded; their neighbours replace them" if wrong else ""


def _substitute_frames(
    spec: CutSpec, audio: RawAudio | None, stats: Path, partial: Path
) -> tuple[DisplayedFrames | None, str]:
    """Cut what can be decoded and fill gaps with the nearest frame; black if there is none.

    Returns the frames, None if it is black, and a description.
    """
    shown = None
    try:
        shown = _cut(spec, None, audio, stats, partial, complete=True)
        own = count_own_frames(shown, spec.take, spec.span) if len(shown.times) == spec.span.frames else 0
    except SceneError as error:
        LOG.info("nothing can be decoded: %s", error)
        own = 0
    if own:
        return shown, f"only {own} of {spec.span.frames} frames can be decoded; their neighbours replace the others"
    # A missing capture or disk is no damaged scene: this raises InputError.
    with open_media(spec.source):
        pass
    write_black(spec, audio, partial)
    return None, f"none of {spec.span.frames} frames can be decoded; the scene is black"


def _from_start(spec: CutSpec, back_s: Fraction | None) -> bool:
    return back_s is None or spec.span.start_s(spec.take.rate) <= back_s


def _cut(
    spec: CutSpec,
    back_s: Fraction | None,
    audio: RawAudio | None,
    stats: Path,
    partial: Path,
    *,
    complete: bool = False,
) -> DisplayedFrames:
    """Run ffmpeg once. Returns which source frames were written.

    With `complete` decoded frames are repeated before and after them for those that cannot be decoded.
    """
    stats.unlink(missing_ok=True)
    from_start = _from_start(spec, back_s)
    start_s = spec.span.start_s(spec.take.rate)
    seek = []
    if not from_start:
        assert back_s is not None
        position_s = spec.take.pts_of(spec.span.start_frame) * spec.take.time_base - back_s
        # The time stamps stay the file's own, wherever the seek lands.
        seek = ["-noaccurate_seek", "-seek_timestamp", "1", "-ss", f"{float(position_s):.6f}"]
    input_args = ffmpeg.input_args(spec.source, options=[*spec.take.decoding, *seek])
    arguments = ["-copyts", *(NO_ERROR_LIMIT if complete else ()), *input_args, *(audio.arguments if audio else [])]
    arguments += ["-map", f"0:{spec.take.stream_index}", *(["-map", "1:0"] if audio else [])]
    arguments += ["-filter:v", ",".join(_filters(spec, from_start, complete)), "-fps_mode:v", "passthrough"]
    arguments += ["-stats_enc_pre:v", f"file:{stats}", "-stats_enc_pre_fmt:v", "{ptsi} {ni}"]
    skipped_s = start_s if from_start or back_s is None else back_s + MAX_KEYFRAME_DISTANCE_S
    decoded = spec.span.frames + math.ceil(skipped_s * spec.take.rate)
    write_video(spec, arguments, audio, partial, decoded=decoded)
    return _read_stats(stats, partial, spec.span.frames)


def _read_stats(stats: Path, partial: Path, frames: int) -> DisplayedFrames:
    """Read which source frames were written. Raises WriteFailed if lines are missing.

    ffmpeg does not notice when this list cannot be written: a missing line must not be taken for a missing frame.
    """
    lines = stats.read_text(encoding="ascii").split("\n")[:-1] if stats.exists() else []
    if len(lines) < frames and len(lines) < count_frames(partial):
        raise WriteFailed(
            f"of the list of frames only {len(lines)} lines were written",
            file=stats,
            tool="ffmpeg",
            remedy="check the disk with the results; the job can be retried",
        )
    return parse_encoder_stats(lines)


def _filters(spec: CutSpec, from_start: bool, complete: bool) -> list[str]:
    """Return filters that map the file's time stamps to the grid, and trim to the frames of the span."""
    take, span = spec.take, spec.span
    rate = f"{take.rate.numerator}/{take.rate.denominator}"
    # Exact, in the stream's time base. `fps` rounds to the nearest index, halves up, as `CfrGrid.indices` does; from
    # the start of the file it also substitutes damaged frames there.
    chain = [f"setpts={take.from_frame_0(span.start_frame, span.stop_frame)}"]
    chain.append(f"fps=fps={rate}" + (":start_time=0" if from_start else ""))
    if complete or span.stop_frame == take.frames:
        # The last frame may have to be repeated.
        chain.append(f"tpad=stop_mode=clone:stop={span.stop_frame if complete else span.frames}")
    chain += [f"trim=start_pts={span.start_frame}:end_pts={span.stop_frame}", "setpts=PTS-STARTPTS"]
    return [*chain, *cut_out_filter(spec.picture), field_mode(spec.picture)]
