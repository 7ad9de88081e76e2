"""Capture file of the demo tape, as a capture card would write it, and its truth."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import cv2
import numpy as np

from tapemill.media import ffmpeg
from tapemill.storage import atomic

from . import scenes, soundtrack, speech, storyboard, vhs_degradation
from .drawing import Paint, Picture

TAPE_SEED = 576
TIME_LIMIT_S = 1800
SIZE = f"{storyboard.WIDTH}x{storyboard.HEIGHT}"
# What PAL is by its standard (ITU-R BT.470 system B/G); the field order is not tagged, as by many capture programs.
TAGS = (
    f"setsar={storyboard.SAMPLE_ASPECT_RATIO.numerator}/{storyboard.SAMPLE_ASPECT_RATIO.denominator},"
    "setparams=color_primaries=bt470bg:color_trc=bt470bg:colorspace=bt470bg:range=tv"
)
# On noise the range coder saves 1 % and takes twice as long.
FFV1 = ("-c:v", "ffv1", "-level", "3", "-coder", "0", "-context", "0", "-g", "1", "-slices", "4", "-slicecrc", "1")
# Lossless H.264, where the truth's still background costs next to nothing. Threads are fixed because they decide bytes.
LOSSLESS = ("-c:v", "libx264", "-qp", "0", "-preset", "superfast", "-threads", "2", "-g", "250")


def make_capture(*, recording: Path, table: Path, capture: Path, truth: Path, threads: int = 1) -> None:
    """Make the demo tape and its truth; the same bytes whatever the number of threads.

    `capture` is 25 frames a second of interlaced PAL, top field first, FFV1 4:2:2 and PCM. `truth` has the same moments
    clean: frame 2n is the one that the top field of capture frame n was taken from, 2n + 1 that of its bottom field.
    """
    # Frames are processed in parallel; OpenCV's own threads would only interfere.
    cv2.setNumThreads(1)
    clean = soundtrack.clean_sound(speech.read_table(table), speech.read_recording(recording))
    with atomic.scratch_dir(capture) as folder:
        sounds = {}
        for target, samples in ((capture, soundtrack.tape_sound(clean)), (truth, clean)):
            sounds[target] = folder / f"{target.stem}.pcm"
            sounds[target].write_bytes(samples.tobytes())
        with ExitStack() as stack:
            whole = {target: stack.enter_context(atomic.staged(target)) for target in (capture, truth)}
            encoders = {
                capture: _arguments(whole[capture], sounds[capture], "yuv422p", storyboard.RATE, FFV1),
                truth: _arguments(whole[truth], sounds[truth], "yuv420p", storyboard.FIELD_RATE, LOSSLESS),
            }
            tape, clear = (
                stack.enter_context(ffmpeg.pipe_in(encoders[target], concerns=target, timeout_s=TIME_LIMIT_S))
                for target in (capture, truth)
            )
            for captured, clean_pair in _frames(threads):
                tape.write(captured)
                clear.write(clean_pair)


def _arguments(target: Path, pcm: Path, pixels: str, rate: object, encoder: tuple[str, ...]) -> list[str]:
    pictures = ["-f", "rawvideo", "-pix_fmt", pixels, "-s", SIZE, "-framerate", str(rate), "-i", "pipe:0"]
    sounds = ffmpeg.input_args(
        pcm, options=["-f", "s16le", "-ar", str(storyboard.SAMPLE_RATE_HZ), "-ch_layout", "stereo"]
    )
    streams = ["-map", "0:v", "-map", "1:a", "-vf", TAGS, *encoder, "-c:a", "pcm_s16le"]
    return [*pictures, *sounds, *streams, *ffmpeg.BITEXACT, *ffmpeg.output_args(target, "matroska")]


def _frames(threads: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield each raw captured frame with its two raw truth frames, in order, computed ahead in threads."""
    tape = vhs_degradation.VhsTape(TAPE_SEED)
    waiting: deque[Future[tuple[bytes, bytes]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for scene in storyboard.SCENES:
            draw = scenes.scene_paint(scene)
            for frame in range(scene.span.start_frame, scene.span.stop_frame):
                waiting.append(pool.submit(_frame, tape, draw, scene.span.start_frame, frame))
                if len(waiting) > 2 * threads:
                    yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _frame(tape: vhs_degradation.VhsTape, draw: Paint, scene_start: int, frame: int) -> tuple[bytes, bytes]:
    tick = (frame - scene_start) * scenes.TICKS_PER_FRAME
    top, bottom = draw(tick), draw(tick + 1)
    return tape.play(frame, top, bottom).planes(), planar_420(top) + planar_420(bottom)


def planar_420(full: Picture) -> bytes:
    """Raw yuv420p of an image in 4:4:4: each chroma sample is the mean of four."""
    chroma = full[:, :, 1:].astype(np.uint16)
    fours = (chroma[0::2, 0::2] + chroma[0::2, 1::2] + chroma[1::2, 0::2] + chroma[1::2, 1::2] + 2) >> 2
    planes = fours.astype(np.uint8)
    return full[:, :, 0].tobytes() + planes[:, :, 0].tobytes() + planes[:, :, 1].tobytes()
