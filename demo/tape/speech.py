"""Speech of the demo tape: a committed recording of sentences that the demo model was not trained on."""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Sequence, Set
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from demo.training import speech_corpus
from demo.training.espeak import SAMPLE_RATE_HZ, Synthesiser, Utterance
from tapemill.core.errors import InputError
from tapemill.media import ffmpeg
from tapemill.storage import atomic

from . import sentences, storyboard

# Drawn once and never tuned to the recogniser, so that the demo is honest.
SEED = 1994
PAUSE_S = 0.25
# The recording is stored at 12 bits: its rounding is far below the tape's hiss, and it needs half the space.
RECORDING_SHIFT = 4
COLUMNS = ("text", "start_s", "stop_s", "frame", "voice", "speed_wpm")
TIME_LIMIT_S = 60


@dataclass(frozen=True)
class SpokenSentence:
    """Sentence of the recording and its position on the tape."""

    text: str
    start_s: float
    """Where it starts in the recording."""
    stop_s: float
    frame: int
    """The frame of the capture at which it starts."""
    voice: str
    speed_wpm: int

    @property
    def tape_start_s(self) -> float:
        """Where it starts on the tape."""
        return float(self.frame / storyboard.RATE)

    @property
    def tape_stop_s(self) -> float:
        """Where it ends on the tape."""
        return self.tape_start_s + self.stop_s - self.start_s


def record_speech(*, recording: Path, table: Path) -> None:
    """Synthesise a sentence for each line of the storyboard and write them as one FLAC file and its table.

    Raises SetupError if espeak-ng's library is not installed.
    """
    synthesiser, rng = Synthesiser(), random.Random(SEED)
    lines = [(scene.span.start_frame + line.frame, line) for scene in storyboard.SCENES for line in scene.lines]
    utterances: list[Utterance] = []
    for _, line in lines:
        utterances.append(_draw_utterance(synthesiser, rng, line, {earlier.text for earlier in utterances}))
    pause = np.zeros(round(PAUSE_S * SAMPLE_RATE_HZ), np.int16)
    spoken, pieces, time_s = [], [], 0.0
    for (frame, _), utterance in zip(lines, utterances, strict=True):
        stop_s = time_s + utterance.duration_s
        spoken.append(SpokenSentence(utterance.text, time_s, stop_s, frame, utterance.voice, utterance.speed_wpm))
        pieces += [utterance.audio >> RECORDING_SHIFT, pause]
        time_s = stop_s + PAUSE_S
    _write_flac(recording, np.concatenate(pieces))
    write_table(table, spoken)


def _draw_utterance(synthesiser: Synthesiser, rng: random.Random, line: storyboard.Line, used: Set[str]) -> Utterance:
    """Draw sentences until one fits the line, was held out from training, and is new on this tape."""
    while True:
        text = sentences.sentence(rng, templates=line.templates)
        if not sentences.held_out(text) or text in used:
            continue
        utterance = speech_corpus.speak(synthesiser, text, rng, sentences.TEST_VARIANTS, sentences.TEST_SPEEDS_WPM)
        if utterance.duration_s <= line.max_duration_s:
            return utterance


def _write_flac(target: Path, samples: np.ndarray) -> None:
    raw_input = ["-f", "s16le", "-ar", str(SAMPLE_RATE_HZ), "-ac", "1", "-i", "pipe:0"]
    with atomic.staged(target) as partial:
        encoder = [*ffmpeg.BITEXACT, "-c:a", "flac", "-compression_level", "12", *ffmpeg.output_args(partial, "flac")]
        with ffmpeg.pipe_in([*raw_input, *encoder], concerns=target, timeout_s=TIME_LIMIT_S) as stream:
            stream.write(samples.astype("<i2").tobytes())


def write_table(target: Path, spoken: Sequence[SpokenSentence]) -> None:
    """Write the table of a recording, tab separated."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(COLUMNS)
    for item in spoken:
        times = (f"{item.start_s:.4f}", f"{item.stop_s:.4f}")
        writer.writerow((item.text, *times, item.frame, item.voice, item.speed_wpm))
    atomic.write_text(target, text.getvalue())


def read_table(source: Path) -> tuple[SpokenSentence, ...]:
    """Read the table of a recording. Raises InputError if it is missing or invalid."""
    try:
        with source.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream, delimiter="\t"))
        return tuple(
            SpokenSentence(
                text=row["text"],
                start_s=float(row["start_s"]),
                stop_s=float(row["stop_s"]),
                frame=int(row["frame"]),
                voice=row["voice"],
                speed_wpm=int(row["speed_wpm"]),
            )
            for row in rows
        )
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise InputError(
            f"the table of the demo's speech cannot be read: {error}",
            file=source,
            remedy="restore it from the repository, or run the rule record_demo_speech",
        ) from error


def read_recording(source: Path) -> np.ndarray:
    """Read the recording's samples. shape = (samples,), float64 in -1..1 at 16 kHz."""
    decoder = [*ffmpeg.input_args(source), "-f", "s16le", "-c:a", "pcm_s16le", "pipe:1"]
    with ffmpeg.pipe_out(decoder, concerns=source, timeout_s=TIME_LIMIT_S) as stream:
        samples = np.frombuffer(stream.read(), "<i2")
    return np.asarray(samples * (2**RECORDING_SHIFT / 32768), np.float64)
