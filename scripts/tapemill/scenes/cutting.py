"""Cut one scene out of a capture: every frame of its span, losslessly, at a constant rate, with its sound.

ffmpeg starts decoding at a keyframe shortly before the scene. Which source pictures came out is written down by its
encoder's statistics (the decoder's own time stamp of each frame encoded) and compared with what the grid asks for. A
seek that landed wrong is thereby noticed, and the scene cut again from further back.
"""

from __future__ import annotations

import logging
import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from .. import ffmpeg, files, sound
from ..errors import GateError
from ..facts import PictureFacts, TakeFacts
from ..limits import LONGEST_LEAD_S, most_bytes, time_limit_s
from ..outputs import check_there
from ..timing import Span, nearest
from .arrivals import Arrivals, begins_in_time, count_wrong, expected_arrivals, read_arrivals
from .gate import Heard, check_cut

LOG = logging.getLogger("tapemill.scenes")

# How far before the scene decoding starts; None is the start of the file. Two seconds reach a keyframe in nearly all
# captures, whatever a container without an index takes for the right place.
SEEKS_BACK_S = (Fraction(2), Fraction(20), None)
# FFV1 cuts a picture into slices, which threads share: fixed, so that the file is the same on any number of cores.
SLICES = 4
SMALLEST_SLICED_PX = 64


@dataclass(frozen=True)
class _Sound:
    """The scene's sound, written as raw samples."""

    arguments: Sequence[str]
    """Those that open it and set the depth of the FLAC."""
    size_bytes: int
    heard: Heard


@dataclass(frozen=True)
class _Job:
    source: Path
    take: TakeFacts
    span: Span
    picture: PictureFacts
    threads: int


def cut_scene(
    *,
    source: Path,
    take: TakeFacts,
    sound_stream: int | None,
    span: Span,
    target: Path,
    picture: PictureFacts,
    threads: int,
) -> None:
    """Write frames [start, stop) of the capture's grid as FFV1 in Matroska, and the sound below them as FLAC.

    Samples keep their format and range; the frames are marked with the field order of `picture`. `threads` changes the
    speed, never the result. Raises GateError if the scene does not come out complete even when decoded from the start.
    """
    job = _Job(source, take, span, picture, threads)
    expected = expected_arrivals(source, take, span)
    with tempfile.TemporaryDirectory() as folder, files.staged(target) as partial:
        audio = None if sound_stream is None else _write_sound(job, sound_stream, Path(folder) / "sound.f32")
        shown: Arrivals | None = None
        for back_s in SEEKS_BACK_S:
            before, shown = shown, _cut(job, back_s, audio, Path(folder) / "shown.txt", partial)
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
                file=source,
                tool="ffmpeg",
                remedy="this part of the capture cannot be decoded; play it there to see what it is",
            )
        check_cut(partial, target=target, span=span, sound=audio.heard if audio else None, source=source, take=take)
        if wrong:
            LOG.warning("%d of %d pictures cannot be decoded; their neighbours stand in", wrong, span.frames)


def _from_start(job: _Job, back_s: Fraction | None) -> bool:
    return back_s is None or job.span.start_s(job.take.rate) <= back_s


def _cut(job: _Job, back_s: Fraction | None, audio: _Sound | None, record: Path, partial: Path) -> Arrivals:
    """Run ffmpeg once. Returns which source pictures were written."""
    record.unlink(missing_ok=True)
    whole = _from_start(job, back_s)
    start_s = job.span.start_s(job.take.rate)
    seek = []
    if not whole:
        assert back_s is not None
        position_s = start_s - back_s + job.take.start_s
        # The time stamps stay the file's own, so no landing place can shift them.
        seek = ["-noaccurate_seek", "-seek_timestamp", "1", "-ss", f"{float(position_s):.6f}"]
    opened = ffmpeg.source(job.source, options=[*ffmpeg.PICTURE_LIMIT, *seek])
    arguments = ["-copyts", *opened, *(audio.arguments if audio else [])]
    arguments += ["-map", f"0:{job.take.stream_index}", *(["-map", "1:0"] if audio else [])]
    arguments += ["-filter:v", ",".join(_chain(job, whole)), "-fps_mode:v", "passthrough", *ffmpeg.BITEXACT_SCALING]
    arguments += [*_encoding(job.picture), "-threads:v", str(job.threads), "-c:a", "flac", *ffmpeg.BITEXACT]
    arguments += ["-stats_enc_pre:v", f"file:{record}", "-stats_enc_pre_fmt:v", "{ptsi} {ni}"]
    skipped_s = start_s if whole or back_s is None else back_s + LONGEST_LEAD_S
    samples, frames = job.picture.width * job.picture.height, job.span.frames
    decoded = frames + math.ceil(skipped_s * job.take.rate)
    ffmpeg.run(
        [*arguments, *ffmpeg.target(partial, "matroska")],
        concerns=job.source,
        timeout_s=time_limit_s(reads=[job.source], samples=samples, decoded=decoded, encoded=frames),
        most_bytes=most_bytes(pictures=frames, samples=samples, sound_bytes=audio.size_bytes if audio else 0),
    )
    check_there(partial, target=job.source)
    return read_arrivals(record.read_text(encoding="ascii").splitlines() if record.exists() else [])


def _encoding(picture: PictureFacts) -> list[str]:
    options = ["-c:v", "ffv1", "-level", "3", "-g", "1", "-slicecrc", "1"]
    if min(picture.width, picture.height) >= SMALLEST_SLICED_PX:
        options += ["-slices", str(SLICES)]
    # Unless told, ffmpeg takes this encoder for one of limited range and converts full range to it, with losses.
    return [*options, "-color_range:v", "pc"] if picture.colour.range == "pc" else options


def _chain(job: _Job, whole: bool) -> list[str]:
    """Filters: the file's time stamps → ticks of the grid → the span's frames."""
    take, span = job.take, job.span
    rate = f"{take.rate.numerator}/{take.rate.denominator}"
    # In units of the stream and exact. `fps` rounds to the nearest tick, halves up, as `grid.ticks` does; decoded from
    # the start of the file it also stands in for damaged pictures there.
    chain = [f"setpts=PTS-({take.start_pts})", f"fps=fps={rate}" + (":start_time=0" if whole else "")]
    if span.stop_frame == take.frames:
        # The last picture may have to stand longer than the decoder says.
        chain.append(f"tpad=stop_mode=clone:stop={span.frames}")
    chain += [f"trim=start_pts={span.start_frame}:end_pts={span.stop_frame}", "setpts=PTS-STARTPTS"]
    order = job.picture.field_order
    chain.append("setfield=mode=" + ("prog" if order == "progressive" else order))
    return chain


def _write_sound(job: _Job, stream_index: int, path: Path) -> _Sound:
    """Write the span's samples as raw floats."""
    track = sound.describe(job.source, stream_index)
    first, stop = (
        nearest(edge / job.take.rate * track.rate_hz) for edge in (job.span.start_frame, job.span.stop_frame)
    )
    samples = sound.read_samples(job.source, stream_index, origin_s=job.take.start_s, first=first, count=stop - first)
    path.write_bytes(np.ascontiguousarray(samples.T).astype("<f4").tobytes())
    form = ["-f", "f32le", "-ar", str(track.rate_hz), "-ac", str(track.channels)]
    depth = "s16" if track.sixteen_bit else "s32"
    return _Sound(
        arguments=[*ffmpeg.source(path, options=form), "-sample_fmt", depth],
        size_bytes=path.stat().st_size,
        heard=Heard(samples=stop - first, peak=float(np.abs(samples).max(initial=0.0))),
    )
