"""Readings of a window by the speech model: no work done twice, and the best one taken if all fail.

Whisper reads a window again at a higher temperature where it does not trust a reading, and takes the last one if none
passes. At the highest temperature that is a random one, often far less probable than the first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .settings import SubtitlesSettings

if TYPE_CHECKING:
    import torch
    from whisper.decoding import DecodingOptions, DecodingResult

# Log probability of a reading that is none. Whisper then takes the window for silence.
NO_READING_LOGPROB = -100.0


@contextmanager
def chosen_readings(model: Any, settings: SubtitlesSettings, *, is_heard: bool) -> Iterator[None]:
    """Within it, `model.decode` encodes each window once, and answers the last temperature with the best reading.

    That is the most probable one. Readings that repeat themselves count only if all do: a loop is probable for the
    model. If the detector has not heard speech, a window in which the model hears none either is not read at all: in
    white noise it would write a loop of 224 tokens, at each temperature.
    """
    import torch

    decode, last = model.decode, settings.temperatures[-1]
    window: torch.Tensor | None = None
    features: torch.Tensor | None = None
    readings: list[DecodingResult] = []

    @torch.no_grad()
    def decode_window(mel: torch.Tensor, options: DecodingOptions) -> DecodingResult:
        nonlocal window, features
        if mel is not window or features is None:
            window, features = mel, model.encoder((mel.half() if options.fp16 else mel)[None])[0]
            readings.clear()
            if not is_heard:
                first = decode(features, replace(options, sample_len=1, beam_size=None, patience=None))
                if first.no_speech_prob > settings.no_speech_threshold:
                    return replace(first, avg_logprob=NO_READING_LOGPROB)
        readings.append(decode(features, options))
        passes = _is_trusted(readings[-1], settings)
        return readings[-1] if passes or options.temperature != last else _most_probable(readings, settings)

    # On the instance, where it hides the method of the class.
    model.decode = decode_window
    try:
        yield
    finally:
        del model.decode


def _is_trusted(reading: DecodingResult, settings: SubtitlesSettings) -> bool:
    is_probable = bool(reading.avg_logprob >= settings.logprob_threshold)
    return is_probable and bool(reading.compression_ratio <= settings.compression_ratio_threshold)


def _most_probable(readings: Sequence[DecodingResult], settings: SubtitlesSettings) -> DecodingResult:
    varied = [reading for reading in readings if reading.compression_ratio <= settings.compression_ratio_threshold]
    return max(varied or readings, key=lambda reading: reading.avg_logprob)
