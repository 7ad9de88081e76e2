"""Evaluation of a demo speech model on sentences, voices and speeds it was not trained on.

It runs through openai-whisper's own `transcribe()`, so the figures hold for the model, not for what Tapemill's stage
makes of it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jiwer
import numpy as np

from demo.tape.sentences import plain_words
from tapemill.storage import atomic

from . import speech_corpus
from .espeak import SAMPLE_RATE_HZ, Utterance
from .speech_corpus import Layout, Placed
from .whisper_small_vocab import FRAMES_PER_S

LOG = logging.getLogger("tapemill.demo.evaluation")
SEED = 7
FIRST_TIME_TOKEN = 50_363
"""Of English-only vocabularies."""
# transcribe() lets a window's first words start within its first second only, unless told otherwise.
FREE_START: Mapping[str, Any] = MappingProxyType({"max_initial_timestamp": None})
OPTIONS: Mapping[str, Any] = MappingProxyType(
    {"language": "en", "fp16": False, "condition_on_previous_text": False, "verbose": None}
)


@dataclass(frozen=True)
class Trial:
    """One kind of clip and one way to transcribe it."""

    name: str
    fewest: int
    """Utterances in a clip."""
    most: int
    layout: Layout
    options: Mapping[str, Any] = field(default_factory=lambda: FREE_START)


TRIALS = (
    Trial("1 utterance, clean", 1, 1, Layout(12, clean=True)),
    Trial("1 utterance, noisy", 1, 1, Layout(12)),
    Trial("1 utterance, noisy, temperature 0 only", 1, 1, Layout(12), {**FREE_START, "temperature": 0.0}),
    Trial("1 utterance, noisy, all defaults", 1, 1, Layout(12), {}),
    Trial("1 utterance, noisy, starts within 0.9 s, all defaults", 1, 1, Layout(12, lead_s=0.9), {}),
    Trial("1 utterance, noisy, word times", 1, 1, Layout(12), {**FREE_START, "word_timestamps": True}),
    Trial("2-3 utterances, clean", 2, 3, Layout(20, clean=True)),
    Trial("2-3 utterances, noisy", 2, 3, Layout(20)),
    Trial("2-3 utterances, noisy, word times", 2, 3, Layout(20), {**FREE_START, "word_timestamps": True}),
    Trial("2-3 utterances, noisy, beam of 5", 2, 3, Layout(20), {**FREE_START, "beam_size": 5}),
    Trial("up to 60 s, noisy", 20, 20, Layout(60, gap_s=4.0)),
    Trial(
        "up to 60 s, noisy, previous text as prompt",
        *(20, 20),
        Layout(60, gap_s=4.0),
        {**FREE_START, "condition_on_previous_text": True},
    ),
    Trial("no speech, 1-30 s", 0, 0, Layout(30)),
)


@dataclass
class Tally:
    """Counts over the clips of one trial."""

    clips: int = 0
    exact: int = 0
    words: int = 0
    wrong_words: int = 0
    clips_with_false_text: int = 0
    fallbacks: int = 0
    sound_s: float = 0.0
    taken_s: float = 0.0
    start_errors_s: list[float] = field(default_factory=list)
    token_start_errors_s: list[float] = field(default_factory=list)
    stop_errors_s: list[float] = field(default_factory=list)
    word_start_errors_s: list[float] = field(default_factory=list)

    def add(self, placed: Sequence[Placed], result: Mapping[str, Any]) -> None:
        """Count one clip."""
        segments = [segment for segment in result["segments"] if segment["text"].strip()]
        said = plain_words(" ".join(item.utterance.text for item in placed))
        heard = plain_words(" ".join(segment["text"] for segment in segments))
        self.clips += 1
        self.fallbacks += any(segment["temperature"] > 0 for segment in result["segments"])
        if not said:
            self.clips_with_false_text += bool(heard)
            return
        measured = jiwer.process_words(" ".join(said), " ".join(heard))
        self.words += len(said)
        self.wrong_words += measured.substitutions + measured.deletions + measured.insertions
        self.exact += said == heard
        # Times are compared where it is clear which segment is which.
        if len(segments) == len(placed):
            for segment, item in zip(segments, placed, strict=True):
                self._add_times(segment, item, exact=said == heard)

    def _add_times(self, segment: Mapping[str, Any], item: Placed, *, exact: bool) -> None:
        self.start_errors_s.append(segment["start"] - item.start_s)
        self.stop_errors_s.append(segment["end"] - item.stop_s)
        # transcribe() says 0.0 for the only segment of a window; its first token has the time it was heard at.
        token_s = segment["seek"] / 100 + (segment["tokens"][0] - FIRST_TIME_TOKEN) / FRAMES_PER_S
        self.token_start_errors_s.append(token_s - item.start_s)
        if exact and "words" in segment:
            for word, known in zip(segment["words"], item.utterance.words, strict=False):
                self.word_start_errors_s.append(word["start"] - item.start_s - known.start_s)

    def summary(self) -> dict[str, float]:
        """The figures, rounded."""
        figures: dict[str, float] = {"clips": self.clips, "fallbacks": self.fallbacks}
        if self.words:
            figures["word_error_rate"] = self.wrong_words / self.words
            figures["clips_exact"] = self.exact / self.clips
        else:
            figures["clips_with_false_text"] = self.clips_with_false_text
        for name in ("start_errors_s", "token_start_errors_s", "stop_errors_s", "word_start_errors_s"):
            errors = np.abs(getattr(self, name))
            if len(errors):
                figures[f"{name}_median"] = float(np.median(errors))
                figures[f"{name}_p95"] = float(np.quantile(errors, 0.95))
        figures["time_per_second_of_sound"] = self.taken_s / self.sound_s
        return {name: round(value, 4) for name, value in figures.items()}


def evaluate_model(*, model: Path, speech: Path, report: Path, clips: int, only: str = "") -> None:
    """Run the trials whose name holds `only`, each with so many clips (a tenth of them for long ones)."""
    import torch
    import whisper

    # So small a model is several times slower with more threads.
    torch.set_num_threads(1)
    network = whisper.load_model(str(model), device="cpu")
    utterances = speech_corpus.load(speech)
    figures = {}
    for trial in TRIALS:
        if only in trial.name:
            count = clips if trial.most < 10 else max(clips // 10, 3)
            figures[trial.name] = run_trial(network, utterances, trial, count).summary()
            LOG.info("%s: %s", trial.name, figures[trial.name])
    atomic.write_json(report, figures)


def run_trial(network: Any, utterances: Sequence[Utterance], trial: Trial, clips: int) -> Tally:
    """Transcribe the clips of one trial, the same ones each time."""
    rng, tally = np.random.default_rng(SEED), Tally()
    for clip in range(clips):
        count = trial.most if trial.fewest == trial.most else int(rng.integers(trial.fewest, trial.most + 1))
        chosen = [utterances[index] for index in rng.choice(len(utterances), count, replace=False)]
        audio, placed = speech_corpus.render(chosen, rng, trial.layout)
        if trial.most == 0 and clip == 0:
            # Digital silence too.
            audio = np.zeros(8 * SAMPLE_RATE_HZ, np.float32)
        started = time.monotonic()
        result = network.transcribe(audio, **{**OPTIONS, **trial.options})
        tally.taken_s += time.monotonic() - started
        tally.sound_s += len(audio) / SAMPLE_RATE_HZ
        tally.add(placed, result)
    return tally
