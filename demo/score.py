"""Score of the restored demo tape: its subtitles against the spoken words, its frames against the original."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path

import jiwer
import pysubs2

from demo.tape.sentences import plain_words
from tapemill.core.errors import GateError
from tapemill.media import ffmpeg, probe
from tapemill.media.packets import frame_count
from tapemill.storage import atomic

from .tape import speech, storyboard

TIME_LIMIT_S = 1800
# Of square pixels.
FULL_WIDTH = int(storyboard.WIDTH * storyboard.SAMPLE_ASPECT_RATIO)
_FLAGS = "lanczos+accurate_rnd+full_chroma_int+bitexact"
SCALE = f"scale={FULL_WIDTH}:{storyboard.HEIGHT}:flags={_FLAGS},setsar=1,format=yuv420p"
# Streams are compared frame by frame, whatever their containers made of their times.
FRAME_NUMBERED = f"settb=1/{storyboard.FIELD_RATE},setpts=N"


@dataclass(frozen=True)
class Similarity:
    """Similarity of a video to the truth: PSNR in decibels over all frames, SSIM from 0 to 1."""

    psnr_y_db: float
    psnr_all_db: float
    ssim_y: float
    ssim_all: float


@dataclass(frozen=True)
class Score:
    """Score of the demo."""

    words: int
    """Spoken words."""
    word_error_rate: float
    """Wrong, missing and added words over spoken words."""
    start_errors_s: tuple[float, ...]
    """Offset of the nearest cue's start from each spoken sentence; positive is late."""
    cues: int
    restored: Similarity
    capture: Similarity
    """The capture, only deinterlaced, on the same lines as `restored`."""
    capture_whole: Similarity
    """The same with the head-switching lines."""


def score(*, tape: Path, subtitles: Path, capture: Path, truth: Path, table: Path) -> Score:
    """Score the restored demo tape and its subtitles.

    `tape` shows the truth's moments in square pixels, 768 wide; if lines were cropped, they were those at the bottom.
    The lines of head switching count for neither. Raises GateError if the tape does not have the truth's
    number of frames and the expected width.
    """
    picture = probe.probe(tape).picture
    frames = frame_count(tape)
    expected = int(storyboard.FRAMES * storyboard.FIELD_RATE / storyboard.RATE)
    if frames != expected or picture.width != FULL_WIDTH:
        raise GateError(
            f"the tape has {frames} frames {picture.width} wide, not {expected} frames {FULL_WIDTH} wide",
            file=tape,
            remedy="score the demo with deinterlacing to one frame a field and square pixels",
        )
    height = min(picture.height, storyboard.HEIGHT - storyboard.HEAD_SWITCHING_LINES)
    bob = f"setfield=tff,bwdif=mode=send_field:parity=tff:deint=all,{SCALE}"
    spoken, cues = speech.read_table(table), _cues(subtitles)
    said, heard = (" ".join(plain_words(text)) for text in (_text(spoken), " ".join(text for _, text in cues)))
    return Score(
        words=len(said.split()),
        word_error_rate=float(jiwer.wer(said, heard)),
        start_errors_s=tuple(_start_error(sentence.tape_start_s, [start for start, _ in cues]) for sentence in spoken),
        cues=len(cues),
        restored=measure_similarity(tape, truth, prepare="format=yuv420p", height=height),
        capture=measure_similarity(capture, truth, prepare=bob, height=height),
        capture_whole=measure_similarity(capture, truth, prepare=bob, height=storyboard.HEIGHT),
    )


def score_demo(*, tape: Path, subtitles: Path, capture: Path, truth: Path, table: Path, report: Path) -> None:
    """Score the restored demo tape, write the score as JSON and print it."""
    result = score(tape=tape, subtitles=subtitles, capture=capture, truth=truth, table=table)
    write_score(report, result)
    sys.stdout.write(f"\n{format_score(result)}\n\n")
    sys.stdout.flush()


def measure_similarity(video: Path, truth: Path, *, prepare: str, height: int) -> Similarity:
    """Compare the upper `height` lines of a video, filtered by `prepare`, with the truth's at 768 × 576."""
    crop = f"crop={FULL_WIDTH}:{height}:0:0,{FRAME_NUMBERED},split"
    graph = (
        f"[0:v:0]{prepare},{crop}[a1][a2];[1:v:0]{SCALE},{crop}[b1][b2];"
        "[a1][b1]psnr=shortest=1[p];[a2][b2]ssim=shortest=1[s]"
    )
    report = ffmpeg.run(
        [
            *ffmpeg.input_args(video),
            *ffmpeg.input_args(truth),
            *("-filter_complex", graph, "-map", "[p]", "-f", "null", "-", "-map", "[s]", "-f", "null", "-"),
        ],
        concerns=video,
        timeout_s=TIME_LIMIT_S,
        verbosity="info",
    )
    return parse_similarity(report, video)


def parse_similarity(report: str, video: Path) -> Similarity:
    """Parse the summaries of the filters psnr and ssim. Raises GateError if they are missing."""
    psnr = re.search(r"PSNR y:(\S+) u:\S+ v:\S+ average:(\S+)", report)
    ssim = re.search(r"SSIM Y:(\S+) .*All:(\S+)", report)
    if psnr is None or ssim is None:
        raise GateError("ffmpeg measured nothing", file=video, stderr_tail=report.splitlines()[-12:])
    return Similarity(float(psnr[1]), float(psnr[2]), float(ssim[1]), float(ssim[2]))


def format_score(result: Score) -> str:
    """Format the score for people."""
    late = sorted(abs(error) for error in result.start_errors_s)
    lines = [
        f"word error rate      {result.word_error_rate:6.1%}   of {result.words} words, in {result.cues} cues",
        f"cue starts           {late[len(late) // 2]:6.3f} s off in the middle, {late[-1]:.3f} s at most",
        "",
        f"{'':20} {'PSNR Y':>9} {'PSNR all':>9} {'SSIM Y':>8} {'SSIM all':>9}",
    ]
    rows = (
        ("restored", result.restored),
        ("capture", result.capture),
        ("capture, all lines", result.capture_whole),
    )
    for name, like in rows:
        lines.append(
            f"{name:20} {like.psnr_y_db:6.2f} dB {like.psnr_all_db:6.2f} dB {like.ssim_y:8.4f} {like.ssim_all:9.4f}"
        )
    return "\n".join(lines)


def write_score(target: Path, result: Score) -> None:
    """Write the score as JSON, rounded to the precision of the measurements."""
    values = {
        key: ({name: round(number, 4) for name, number in value.items()} if isinstance(value, dict) else value)
        for key, value in asdict(result).items()
    }
    values["word_error_rate"] = round(result.word_error_rate, 4)
    values["start_errors_s"] = [round(error, 3) for error in result.start_errors_s]
    atomic.write_json(target, values)


def _cues(subtitles: Path) -> list[tuple[float, str]]:
    """Start in seconds and text of each cue, in order."""
    events = pysubs2.load(str(subtitles), encoding="utf-8", format_="srt")
    return sorted((float(Fraction(event.start, 1000)), event.plaintext.replace("\n", " ")) for event in events)


def _text(spoken: Sequence[speech.SpokenSentence]) -> str:
    return " ".join(sentence.text for sentence in sorted(spoken, key=lambda sentence: sentence.frame))


def _start_error(start_s: float, cue_starts_s: Sequence[float]) -> float:
    """Offset of the nearest cue; infinite without cues."""
    return min((cue - start_s for cue in cue_starts_s), key=abs, default=float("inf"))
