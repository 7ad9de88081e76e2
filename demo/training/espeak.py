"""Spoken sentences with known word times, by espeak-ng through its C library (speak_lib.h).

Only recording the demo's speech and making the training corpus need the library; everything else reads their results.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from tapemill.core.errors import SetupError

SAMPLE_RATE_HZ = 16_000

# Constants of speak_lib.h.
AUDIO_OUTPUT_SYNCHRONOUS = 2
EVENT_LIST_TERMINATED = 0
EVENT_WORD = 1
POSITION_CHARACTER = 1
TEXT_IS_UTF8 = 1
PARAMETER_SPEED, PARAMETER_PITCH, PARAMETER_RANGE = 1, 3, 4


@dataclass(frozen=True)
class Word:
    """One spoken word; times in seconds from the start of its utterance."""

    text: str
    start_s: float
    stop_s: float


@dataclass(frozen=True)
class Utterance:
    """One spoken sentence."""

    text: str
    audio: np.ndarray
    """shape = (samples,), int16 at 16 kHz, trimmed to the speech."""
    words: tuple[Word, ...]
    voice: str
    speed_wpm: int

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.audio) / SAMPLE_RATE_HZ


class _Event(ctypes.Structure):
    """espeak_EVENT."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position_ms", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    )


class Synthesiser:
    """espeak-ng. One per process: the library keeps its state in globals."""

    def __init__(self) -> None:
        """Load the library. Raises SetupError, which says what to install, where it or its voices are missing."""
        try:
            self._library = ctypes.CDLL("libespeak-ng.so.1")
        except OSError as error:
            raise _missing(str(error)) from error
        self._rate_hz = self._library.espeak_Initialize(AUDIO_OUTPUT_SYNCHRONOUS, 0, None, 0)
        if self._rate_hz <= 0:
            raise _missing("espeak_Initialize failed")
        self._pcm: list[np.ndarray] = []
        self._marks: dict[int, float] = {}
        prototype = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))
        # Kept here because the library keeps a bare pointer to it.
        self._callback = prototype(self._take)
        self._library.espeak_SetSynthCallback(self._callback)

    def speak(self, text: str, *, voice: str, speed_wpm: int, pitch: int, pitch_range: int) -> Utterance:
        """Speak a sentence. `pitch` and `pitch_range` are 0 to 100. Raises SetupError for an unknown voice."""
        if self._library.espeak_SetVoiceByName(voice.encode()):
            raise _missing(f"espeak-ng has no voice {voice}")
        for parameter, value in (
            (PARAMETER_SPEED, speed_wpm),
            (PARAMETER_PITCH, pitch),
            (PARAMETER_RANGE, pitch_range),
        ):
            self._library.espeak_SetParameter(parameter, value, 0)
        self._pcm, self._marks = [], {}
        raw = text.encode()
        self._library.espeak_Synth(
            raw, ctypes.c_size_t(len(raw) + 1), 0, POSITION_CHARACTER, 0, TEXT_IS_UTF8, None, None
        )
        samples = _resample(np.concatenate(self._pcm).astype(np.float32) / 32768, self._rate_hz)
        start, stop = _speech_span(samples)
        words = _word_times(text, self._marks, start / SAMPLE_RATE_HZ, stop / SAMPLE_RATE_HZ)
        speech = samples[start:stop]
        audio = np.clip(speech / np.abs(speech).max() * 32000, -32768, 32767).astype(np.int16)
        return Utterance(text, audio, words, voice, speed_wpm)

    def _take(self, wave: Any, count: int, events: Any) -> int:
        """t_espeak_callback: collects samples and the time of each word. 0 goes on."""
        if wave and count > 0:
            self._pcm.append(np.ctypeslib.as_array(wave, (count,)).copy())
        index = 0
        while events[index].type != EVENT_LIST_TERMINATED:
            if events[index].type == EVENT_WORD:
                self._marks[events[index].text_position - 1] = events[index].audio_position_ms / 1000
            index += 1
        return 0


def _missing(what: str) -> SetupError:
    return SetupError(
        f"speech cannot be synthesised: {what}",
        tool="espeak-ng",
        remedy="install the library and its voices, on Debian and Ubuntu the packages libespeak-ng1 and espeak-ng-data",
    )


def _resample(samples: np.ndarray, rate_hz: int) -> np.ndarray:
    """To 16 kHz by cutting the spectrum. shape = (samples,), float32."""
    count = int(len(samples) * SAMPLE_RATE_HZ / rate_hz)
    spectrum = np.fft.rfft(samples)[: count // 2 + 1]
    resampled = np.fft.irfft(spectrum, count).astype(np.float32) * count / len(samples)
    return np.asarray(resampled)


def _speech_span(samples: np.ndarray) -> tuple[int, int]:
    """First and one past the last sample louder than 2 % of the peak level, with 5 ms around them."""
    level = np.sqrt(np.convolve(samples**2, np.ones(160) / 160, "same"))
    loud = np.flatnonzero(level > 0.02 * level.max())
    return max(int(loud[0]) - 80, 0), min(int(loud[-1]) + 80, len(samples))


def _word_times(text: str, marks: dict[int, float], start_s: float, stop_s: float) -> tuple[Word, ...]:
    """Times of the words on the clock of the trimmed speech, from marks {character: seconds} on the untrimmed one.

    The library marks some pairs ("at the") as one word; such an interval is shared out by length in letters.
    """
    words = text.rstrip(".").split()
    starts: list[float | None] = []
    position = 0
    for word in words:
        starts.append(marks.get(position))
        position += len(word) + 1
    starts[0] = start_s
    known = [index for index, start in enumerate(starts) if start is not None] + [len(words)]
    bounds = [*starts, stop_s]
    filled = np.empty(len(words) + 1)
    filled[-1] = stop_s
    for first, after in pairwise(known):
        begin, end = bounds[first], bounds[after]
        assert begin is not None
        assert end is not None
        letters = np.cumsum([0, *(len(word) for word in words[first:after])])
        filled[first:after] = begin + (end - begin) * letters[:-1] / letters[-1]
    times = np.clip(filled - start_s, 0, stop_s - start_s)
    return tuple(Word(word, float(times[i]), float(times[i + 1])) for i, word in enumerate(words))
