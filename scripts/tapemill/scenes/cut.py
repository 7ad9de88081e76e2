"""Cut one scene out of a capture: every frame of its span, losslessly, at a constant rate, with its sound.

ffmpeg starts decoding at a keyframe shortly before the scene. Which source pictures came out is written down by its
encoder's statistics (the decoder's own time stamp of each frame encoded) and compared with what the grid asks for. A
seek that landed wrong is thereby noticed, and the scene cut again from further back.
"""

from __future__ import annotations

import logging
import math
from fractions import Fraction
from pathlib import Path

import numpy as np

from tapemill.core.errors import GateError, OnSceneFailure, SceneError
from tapemill.core.job_warnings import JobWarning
from tapemill.core.progress import report
from tapemill.core.timing import FrameRange
from tapemill.media import ffmpeg
from tapemill.media.capture_info import SourceFileInfo, VideoInfo
from tapemill.media.ffmpeg.limits import MAX_KEYFRAME_DISTANCE_S
from tapemill.media.probe import open_media
from tapemill.storage import atomic

from .encode import CutSpec, RawAudio, field_mode, tag, write_audio, write_black, write_video
from .frame_mapping import (
    DisplayedFrames,
    begins_in_time,
    count_own_frames,
    count_wrong,
    expected_frames,
    parse_showinfo,
)
from .verify import check_cut

LOG = logging.getLogger("tapemill.scenes")

# How far before the scene decoding starts; None is the start of the file. Two seconds reach a keyframe in nearly all
# captures, whatever a container without an index takes for the right place.
SEEKS_BACK_S = (Fraction(2), Fraction(20), None)
# ffmpeg calls it a failure if it cannot decode two thirds of the pictures.
PATIENT = ("-max_error_rate", "1")


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
    """Write frames [start, stop) of the capture's grid as FFV1 in Matroska, and the sound below them as FLAC.

    Samples keep their format and range; the frames are marked with the field order of `picture`. `threads` changes the
    speed, never the result. Pictures that cannot be decoded are replaced by their neighbours, which is returned and
    said in a tag of the file. With `on_failure` "keep_original" this goes for any number of them, and the scene is
    black if it has no picture at all; otherwise it raises GateError if the scene does not come out complete even when
    decoded from the start, ToolFailed if ffmpeg fails.
    """
    job = CutSpec(source, take, span, picture, threads)
    with atomic.staged(target) as partial, atomic.scratch_dir(target) as folder:
        audio = None if sound_stream is None else write_audio(job, sound_stream, folder / "sound.f32")
        shown = folder / "shown.txt"
        try:
            damage = _cut_completely(job, audio, shown, partial)
            _check(job, audio, partial, target)
        except SceneError as error:
            if on_failure == "stop":
                raise
            LOG.warning("the scene cannot be decoded: %s: %s", type(error).__name__, error)
            damage = _stand_in(job, audio, shown, partial)
            _check(job, audio, partial, target)
        if damage:
            LOG.warning("%s", damage)
            tag(partial, folder / "tagged.mkv", damage)
    report(f"{span.frames} frames", frames=span.frames)
    return [JobWarning("stands_in", damage)] if damage else []


def _check(job: CutSpec, audio: RawAudio | None, partial: Path, target: Path) -> None:
    heard = audio.heard if audio else None
    check_cut(partial, target=target, span=job.span, sound=heard, source=job.source, take=job.take)


def _cut_completely(job: CutSpec, audio: RawAudio | None, record: Path, partial: Path) -> str:
    """Decode from further and further back, until all is there. Returns what is damaged, empty if nothing is."""
    take, span = job.take, job.span
    expected = expected_frames(job.source, take, span)
    shown: DisplayedFrames | None = None
    for back_s in SEEKS_BACK_S:
        before, shown = shown, _cut(job, back_s, audio, record, partial)
        wrong = count_wrong(shown, expected, take, from_start=_from_start(job, back_s))
        # Twice the same pictures from different places: it is the capture that is damaged, not the seek.
        settled = before is not None and np.array_equal(shown.times, before.times)
        if not wrong or _from_start(job, back_s) or (settled and begins_in_time(shown, take, span)):
            break
        LOG.info("decoding from %s s before frame %d gave %d wrong pictures", back_s, span.start_frame, wrong)
    assert shown is not None
    if len(shown.times) != span.frames:
        raise GateError(
            f"{len(shown.times)} pictures came out of the {span.frames} from frame {span.start_frame} on",
            file=job.source,
            tool="ffmpeg",
            remedy="this part of the capture cannot be decoded; play it there to see what it is",
        )
    return f"{wrong} of {span.frames} pictures cannot be decoded; their neighbours stand in" if wrong else ""


def _stand_in(job: CutSpec, audio: RawAudio | None, record: Path, partial: Path) -> str:
    """What can be decoded, each gap filled with the nearest picture; black if there is none. Returns which it is."""
    try:
        shown = _cut(job, None, audio, record, partial, complete=True)
        own = count_own_frames(shown, job.take, job.span) if len(shown.times) == job.span.frames else 0
    except SceneError as error:
        LOG.info("nothing can be decoded: %s", error)
        own = 0
    if own:
        return f"only {own} of {job.span.frames} pictures can be decoded; their neighbours stand in for the others"
    # A capture that is not there any more, or a disk that has gone, is no damaged scene: this raises InputError.
    with open_media(job.source):
        pass
    write_black(job, audio, partial)
    return f"none of {job.span.frames} pictures can be decoded; the scene is black"


def _from_start(job: CutSpec, back_s: Fraction | None) -> bool:
    return back_s is None or job.span.start_s(job.take.rate) <= back_s


def _cut(
    job: CutSpec,
    back_s: Fraction | None,
    audio: RawAudio | None,
    record: Path,
    partial: Path,
    *,
    complete: bool = False,
) -> DisplayedFrames:
    """Run ffmpeg once. Returns which source pictures were written.

    With `complete` whatever is decoded makes up for what is not, before it and after it.
    """
    record.unlink(missing_ok=True)
    whole = _from_start(job, back_s)
    start_s = job.span.start_s(job.take.rate)
    seek = []
    if not whole:
        assert back_s is not None
        position_s = start_s - back_s + job.take.start_s
        # The time stamps stay the file's own, so no landing place can shift them.
        seek = ["-noaccurate_seek", "-seek_timestamp", "1", "-ss", f"{float(position_s):.6f}"]
    opened_at = ffmpeg.input_args(job.source, options=[*ffmpeg.PICTURE_LIMIT, *seek])
    arguments = ["-copyts", *(PATIENT if complete else ()), *opened_at, *(audio.arguments if audio else [])]
    arguments += ["-map", f"0:{job.take.stream_index}", *(["-map", "1:0"] if audio else [])]
    arguments += ["-filter:v", ",".join(_chain(job, whole, complete)), "-fps_mode:v", "passthrough"]
    arguments += ["-stats_enc_pre:v", f"file:{record}", "-stats_enc_pre_fmt:v", "{ptsi} {ni}"]
    skipped_s = start_s if whole or back_s is None else back_s + MAX_KEYFRAME_DISTANCE_S
    decoded = job.span.frames + math.ceil(skipped_s * job.take.rate)
    write_video(job, arguments, audio, partial, decoded=decoded)
    return parse_showinfo(record.read_text(encoding="ascii").splitlines() if record.exists() else [])


def _chain(job: CutSpec, whole: bool, complete: bool) -> list[str]:
    """Filters: the file's time stamps → ticks of the grid → the span's frames."""
    take, span = job.take, job.span
    rate = f"{take.rate.numerator}/{take.rate.denominator}"
    # In units of the stream and exact. `fps` rounds to the nearest tick, halves up, as `grid.ticks` does; decoded from
    # the start of the file it also stands in for damaged pictures there.
    chain = [f"setpts=PTS-({take.start_pts})", f"fps=fps={rate}" + (":start_time=0" if whole else "")]
    if complete or span.stop_frame == take.frames:
        # The last picture may have to stand longer than the decoder says.
        chain.append(f"tpad=stop_mode=clone:stop={span.stop_frame if complete else span.frames}")
    chain += [f"trim=start_pts={span.start_frame}:end_pts={span.stop_frame}", "setpts=PTS-STARTPTS"]
    return [*chain, field_mode(job.picture)]
