"""Choice among the readings of a window that all failed.

Whisper reads a window again at a higher temperature where it does not trust a reading, and takes the last one if none
passes. At the highest temperature that is a random one, often far less probable than the first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .settings import SubtitlesSettings

if TYPE_CHECKING:
    import torch
    from whisper.decoding import DecodingOptions, DecodingResult


@contextmanager
def most_probable_reading(model: Any, settings: SubtitlesSettings) -> Iterator[None]:
    """Within it, `model.decode` answers the last temperature with the most probable reading of the window.

    Readings that repeat themselves count only if all do: a loop is probable for the model.
    """
    decode, last = model.decode, settings.temperatures[-1]
    window: torch.Tensor | None = None
    readings: list[DecodingResult] = []

    def decode_window(mel: torch.Tensor, options: DecodingOptions) -> DecodingResult:
        nonlocal window
        if mel is not window:
            window = mel
            readings.clear()
        readings.append(decode(mel, options))
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
