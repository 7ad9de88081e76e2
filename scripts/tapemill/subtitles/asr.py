"""Speech recognition with openai-whisper's `transcribe()`, with times that are right for every model."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tapemill.core.errors import ConfigError
from tapemill.devices.determinism import seeded, torch_threads
from tapemill.devices.device import Device, dtype_for
from tapemill.records.speech import Segment, SpeechRegion, Word
from tapemill.records.subtitles import AsrTask

from .readings import chosen_readings
from .settings import SubtitlesSettings
from .vad import merge_close_regions
from .whisper_loader import timing_on_cpu

if TYPE_CHECKING:
    from .vad import Samples


LOG = logging.getLogger("tapemill.subtitles")


def check_language(model: Any, language: str | None, task: AsrTask) -> None:
    """Raise ConfigError if the model cannot do this task in this language (a Whisper code; None: not known yet)."""
    from whisper.tokenizer import LANGUAGES

    if language is not None and language not in LANGUAGES:
        raise ConfigError(
            f"Whisper does not know the language {language!r}",
            remedy="write a two-letter code such as en, de, fr, ja (or `auto`) into the column `language` of the sheet",
        )
    if model.is_multilingual:
        return
    if language not in (None, "en") or task == "translate":
        raise ConfigError(
            f"this speech model knows English only, asked for: {task}, language {language}",
            remedy="choose a model without `.en` in `subtitles: model`, such as small, medium or large-v3",
        )


def transcribe(
    samples: Samples,
    regions: Sequence[SpeechRegion],
    *,
    model: Any,
    language: str | None,
    task: AsrTask,
    settings: SubtitlesSettings,
    device: Device,
) -> tuple[str, list[Segment]]:
    """Recognise the speech of a scene: its language, and its segments in order.

    `samples` are 16 kHz in [-1, 1), shape (samples,); only `regions`, the detected speech, are decoded. `model` comes
    from `load_model` for the same device. Without a `language` it is detected in this scene. Raises ConfigError if the
    model cannot do the task.
    """
    import torch

    check_language(model, language, task)
    clips = merge_close_regions(regions, settings.speech_join_s)
    # Temperatures above zero draw random tokens.
    with (
        torch_threads(settings.torch_threads),
        seeded(device, settings.seed),
        timing_on_cpu(model),
        chosen_readings(model, settings, is_heard=bool(regions)),
    ):
        result = model.transcribe(
            samples,
            language=language,
            task=task,
            temperature=tuple(settings.temperatures),
            beam_size=settings.beam_size if settings.beam_size > 1 else None,
            condition_on_previous_text=settings.condition_on_previous_text,
            initial_prompt=settings.prompt or None,
            word_timestamps=settings.word_timestamps,
            no_speech_threshold=settings.no_speech_threshold,
            logprob_threshold=settings.logprob_threshold,
            compression_ratio_threshold=settings.compression_ratio_threshold,
            # The default of 1 s would pull the start of speech that comes later in a window forward.
            max_initial_timestamp=None,
            clip_timestamps=[edge_ms / 1000 for clip in clips for edge_ms in (clip.start_ms, clip.stop_ms)],
            fp16=dtype_for(device) is torch.float16,
        )
    segments = [_segment(values, model, clips) for values in result["segments"] if values["text"].strip()]
    LOG.info("%d segments in %d speech regions, language %s", len(segments), len(clips), result["language"])
    return str(result["language"]), segments


def _segment(values: Mapping[str, Any], model: Any, clips: Sequence[SpeechRegion]) -> Segment:
    """A segment of whisper's result, with the times of its own timestamp tokens.

    transcribe() gives the only segment of a window the start of the window, and with word times it moves borders into
    the pauses around. The times that the model produced are the segment's first and last token, counted from the
    start of the window.
    """
    from whisper.audio import HOP_LENGTH, N_FRAMES, SAMPLE_RATE
    from whisper.tokenizer import get_tokenizer

    first_timestamp = get_tokenizer(model.is_multilingual, num_languages=model.num_languages).timestamp_begin
    token_ms = N_FRAMES // model.dims.n_audio_ctx * HOP_LENGTH * 1000 // SAMPLE_RATE
    window_ms = values["seek"] * HOP_LENGTH * 1000 // SAMPLE_RATE
    clip_stop_ms = next((clip.stop_ms for clip in clips if window_ms < clip.stop_ms), clips[-1].stop_ms)
    last_ms = min(window_ms + N_FRAMES * HOP_LENGTH * 1000 // SAMPLE_RATE, clip_stop_ms)
    times = [window_ms + (token - first_timestamp) * token_ms for token in values["tokens"] if token >= first_timestamp]
    start = min(times[0], last_ms) if times else window_ms
    # Without a second time the text ran to the end of the window.
    stop = min(times[-1], last_ms) if len(times) > 1 else last_ms
    return Segment(
        start_ms=start,
        stop_ms=max(stop, start),
        text=str(values["text"]).strip(),
        avg_logprob=round(values["avg_logprob"], 4),
        no_speech_prob=round(values["no_speech_prob"], 4),
        compression_ratio=round(values["compression_ratio"], 4),
        temperature=values["temperature"],
        words=tuple(_word(word) for word in values.get("words", [])),
    )


def _word(values: Mapping[str, Any]) -> Word:
    return Word(
        start_ms=round(values["start"] * 1000),
        stop_ms=round(values["end"] * 1000),
        text=str(values["word"]),
        probability=round(float(values["probability"]), 4),
    )
