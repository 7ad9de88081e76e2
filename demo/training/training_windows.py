"""Training windows of the demo model: audio with its tokens, an endless stream drawn from the corpus."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from demo.tape import sentences

from . import speech_corpus
from .espeak import SAMPLE_RATE_HZ, Utterance
from .speech_corpus import Layout, Placed
from .whisper_small_vocab import FRAMES, FRAMES_PER_S, MEL_BANDS, Tokens, tokens

if TYPE_CHECKING:
    import torch

Batch = dict[str, "torch.Tensor"]
WORD_CLASS = {word: index + 1 for index, word in enumerate(sentences.WORDS)}
NOWHERE = (-9.0, -9.0)
"""Frames of a token that has no place in the sound."""
MASKED = (-999.0, -999.0)
"""Frames of a token that is not learnt from."""
MEL_PER_FRAME, SAMPLES_PER_MEL = 2, 160
MAX_INITIAL = FRAMES_PER_S
"""transcribe() allows a first time of one second at most unless told otherwise."""


@dataclass(frozen=True)
class BatchPlan:
    """Batches of one shape."""

    frames: int
    """Length of a window in encoder frames of 20 ms; FRAMES is the whole window of 30 s."""
    size: int


@dataclass(frozen=True)
class Token:
    """One compact token and the encoder frames it belongs to."""

    token: int
    first: float
    last: float


class Windows:
    """A stream of batches: one of each plan in turn, for ever. The same seed gives the same stream."""

    def __init__(self, utterances: Sequence[Utterance], plans: Sequence[BatchPlan], seed: int) -> None:
        self._utterances, self._plans = list(utterances), tuple(plans)
        self._rng, self._choice = np.random.default_rng(seed), random.Random(seed)
        self._tokens = tokens()

    def __iter__(self) -> Iterator[Batch]:
        while True:
            for plan in self._plans:
                yield collate([self._item(plan.frames) for _ in range(plan.size)])

    def _item(self, frames: int) -> dict[str, Any]:
        """One window. Short ones lie anywhere in the 30 s, so that all positions are learnt."""
        choice = self._choice
        offset = 0 if frames == FRAMES or choice.random() < 0.3 else choice.randint(0, FRAMES - frames)
        # One whole window in several is a piece of a long recording, cut at its end.
        cut = frames == FRAMES and choice.random() < 0.4
        if choice.random() < 0.1:
            count = 0
        elif cut:
            count = 12
        else:
            count = choice.choice((1, 2, 2) if frames < 600 else (1, 2, 3, 4, 6))
        utterances = choice.sample(self._utterances, count)
        audio, placed = speech_corpus.render(utterances, self._rng, self._layout(frames, count, cut=cut))
        mel = _mel(audio, frames)
        heard_s = len(audio) / SAMPLE_RATE_HZ
        sequence = self._sequence(placed, offset, heard_s)
        values = [item.token for item in sequence]
        silent = not placed
        given = self._given(values, silent=silent)
        prompt = self._prompt(frames)
        places = [(item.first - offset, item.last - offset) for item in sequence]
        ahead = [MASKED] * len(prompt)
        no_times = values[1] == self._tokens.no_times
        return {
            "mel": mel,
            "words": _word_classes(placed, frames),
            "offset": offset,
            "given": prompt + given[:-1],
            "wanted": [-1] * len(prompt) + values[1:],
            "given_at": ahead + places[:-1],
            "wanted_at": ahead + places[1:],
            "mask": [0] * len(prompt) + [0 if no_times else 1] + [1] * (len(values) - 2),
            "silent": silent,
        }

    def _layout(self, frames: int, count: int, *, cut: bool) -> Layout:
        clip_s = frames / FRAMES_PER_S
        if frames < 600:
            lead_s, gap_s, tail_s = 1.0, 0.8, 1.0
        else:
            lead_s, gap_s, tail_s = 2.5, self._choice.choice((0.8, 2.0, 4.0)), 1.0 if cut else 3.0
        clean = bool(count) and self._choice.random() < 0.1
        return Layout(clip_s, lead_s, gap_s, tail_s if count else clip_s, clean=clean, cut=cut)

    def _sequence(self, placed: Sequence[Placed], offset: int, heard_s: float) -> list[Token]:
        """The tokens of a window: most with times, some without, none but a free first time where nobody speaks."""
        known, sequence = self._tokens, [Token(self._tokens.start, *NOWHERE)]
        if not placed:
            sequence.append(Token(known.first_time + self._choice.randint(0, MAX_INITIAL), *NOWHERE))
        elif self._choice.random() < 0.1:
            sequence.append(Token(known.no_times, *NOWHERE))
            for item in placed:
                if item.stop_s <= heard_s + 0.05:
                    sequence += spoken_tokens(item.utterance, item.start_s, offset, known)
        else:
            for item in placed:
                start, stop = (_time(second, offset) for second in (item.start_s, item.stop_s))
                sequence.append(Token(known.first_time + start, start - 2, start + 2))
                if item.stop_s > heard_s + 0.05:
                    # Cut off by the window: it has a start only.
                    break
                sequence += spoken_tokens(item.utterance, item.start_s, offset, known)
                sequence.append(Token(known.first_time + stop, stop - 2, stop + 2))
        return [*sequence, Token(known.end, *NOWHERE)]

    def _given(self, values: Sequence[int], *, silent: bool) -> list[int]:
        """What the decoder is fed: times as inexact as its own will be, or held down by max_initial_timestamp."""
        first_time, given = self._tokens.first_time, list(values)
        if not silent and self._choice.random() < 0.3:
            given = [
                min(max(value + round(self._rng.normal(0, 1.5)), first_time), first_time + FRAMES)
                if value >= first_time
                else value
                for value in given
            ]
        if not silent and given[1] > first_time + MAX_INITIAL and self._choice.random() < 0.4:
            given[1] = first_time + self._choice.choice((MAX_INITIAL, self._choice.randint(0, MAX_INITIAL)))
        return given

    def _prompt(self, frames: int) -> list[int]:
        """Sometimes the text of a window before."""
        prompt: list[int] = []
        if frames > 600 and self._choice.random() < 0.15:
            for utterance in self._choice.sample(self._utterances, self._choice.randint(1, 3)):
                at = self._tokens.first_time + self._choice.randint(0, 1400)
                said = [item.token for item in spoken_tokens(utterance, 0, 0, self._tokens)]
                prompt += [at, *said, at + 60]
            prompt = [self._tokens.previous, *prompt]
        return prompt


def spoken_tokens(utterance: Utterance, start_s: float, offset: int, known: Tokens) -> list[Token]:
    """The text tokens of an utterance that starts at `start_s`, each with its word's frames."""
    spoken, last = [], 0.0
    for word in utterance.words:
        first, last = ((start_s + time_s) * FRAMES_PER_S + offset for time_s in (word.start_s, word.stop_s))
        spoken += [Token(token, first, last) for token in known.of_word(word.text)]
    return [*spoken, Token(known.full_stop, last - 3, last)]


def collate(items: Sequence[dict[str, Any]]) -> Batch:
    """One batch of windows, their tokens padded to the longest."""
    import torch

    longest = max(len(item["given"]) for item in items)

    def padded(key: str, value: Any) -> torch.Tensor:
        return torch.tensor([item[key] + [value] * (longest - len(item[key])) for item in items])

    return {
        "mel": torch.stack([item["mel"] for item in items]),
        "words": torch.stack([item["words"] for item in items]),
        "offset": torch.tensor([item["offset"] for item in items]),
        "given": padded("given", tokens().end),
        "wanted": padded("wanted", -1).clamp(0),
        "given_at": padded("given_at", MASKED),
        "wanted_at": padded("wanted_at", MASKED),
        "mask": padded("mask", 0).float(),
        "silent": torch.tensor([item["silent"] for item in items]),
    }


def _mel(audio: np.ndarray, frames: int) -> torch.Tensor:
    """Log mel spectrogram, zeros after the clip as transcribe() pads. shape = (MEL_BANDS, 2 * frames)."""
    import torch
    from whisper.audio import log_mel_spectrogram

    count = len(audio) // (SAMPLES_PER_MEL * MEL_PER_FRAME) * MEL_PER_FRAME
    mel = torch.zeros(MEL_BANDS, MEL_PER_FRAME * frames)
    mel[:, :count] = log_mel_spectrogram(audio, padding=400)[:, :count]
    return mel


def _word_classes(placed: Sequence[Placed], frames: int) -> torch.Tensor:
    """Which word is spoken in each frame, 0 for none. shape = (frames,), int64."""
    import torch

    classes = torch.zeros(frames, dtype=torch.long)
    for item in placed:
        for word in item.utterance.words:
            first, last = (int((item.start_s + time_s) * FRAMES_PER_S) for time_s in (word.start_s, word.stop_s))
            classes[first:last] = WORD_CLASS[word.text.lower()]
    return classes


def _time(second: float, offset: int) -> int:
    """A time as a token counted from the first time token."""
    return min(max(round(second * FRAMES_PER_S) + offset, 0), FRAMES)
