"""Which language a tape speaks: a vote of several of its scenes."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tapemill.core.errors import InputError
from tapemill.core.progress import report
from tapemill.devices.determinism import torch_threads
from tapemill.devices.device import CPU, Device, open_device
from tapemill.models import ModelFile
from tapemill.storage import atomic, untrusted_text

from .model_selection import Hearing, fitting, lowered
from .segments import Region
from .settings import SubtitlesSettings
from .vad import SAMPLE_RATE_HZ, detect_speech, read_samples
from .whisper_loader import load_model

if TYPE_CHECKING:
    from .vad import Samples

LOG = logging.getLogger("tapemill.subtitles")

_MAKE_ANEW = "delete it, and the workflow makes it anew"

# A language that no scene gave at least this is not written down; Whisper names a hundred each time.
LEAST_PROBABILITY = 0.005


def vote_language(
    *,
    audios: Sequence[Path],
    model: ModelFile,
    target: Path,
    settings: SubtitlesSettings,
    device: Device = CPU,
    smaller: Sequence[ModelFile] = (),
) -> None:
    """Write JSON: `language` (null if no scene speaks), `votes` by scenes, `probabilities` as means over them.

    Each scene with speech is heard from its first word on and counts with Whisper's probabilities, so that one
    doubtful scene does not outvote a sure one. An English-only model is not asked. Where memory is short, one of the
    models in `smaller` takes the place of `model`, and the file says so under `lowered`. Raises SceneError, ModelError,
    SetupError, OutOfMemory.
    """
    opinions, less = _opinions(audios, model, smaller, settings, device)
    atomic.write_json(target, {**_counted(opinions), **less})


def _opinions(
    audios: Sequence[Path],
    model: ModelFile,
    smaller: Sequence[ModelFile],
    settings: SubtitlesSettings,
    device: Device,
) -> tuple[dict[str, Mapping[str, float]], dict[str, Any]]:
    """Probabilities of languages by scene, of those that speak; what was lowered."""
    heard = {audio.stem: _from_first_word(audio, settings) for audio in audios}
    speaking = {scene: samples for scene, samples in heard.items() if samples is not None}
    opinions: dict[str, Mapping[str, float]] = {}
    less: dict[str, Any] = {}
    if speaking:
        open_device(device)
        # A language is one token: there is no beam, and no word is timed.
        wish = Hearing(model, 1, words=False)
        choice = fitting(wish, smaller, device)
        less, taken = lowered(wish, choice), choice.candidate.value
        report(f"listening with {choice.candidate.name}", model=[taken.model.path.stem])
        loaded = load_model(taken.model, device, headroom_bytes=taken.activation_bytes(device))
        with torch_threads(settings.torch_threads):
            for scene, samples in speaking.items():
                opinions[scene] = _probabilities(loaded, samples)
    return opinions, less


def read_language(path: Path) -> str | None:
    """The language that `vote_language` wrote, None if nobody speaks. Raises InputError if the record is damaged."""
    language = untrusted_text.read_json(path, error=InputError, remedy=_MAKE_ANEW).get("language", "")
    if language is None or (isinstance(language, str) and language):
        return language
    raise InputError("this record names no language", file=path, remedy=_MAKE_ANEW)


def _from_first_word(audio: Path, settings: SubtitlesSettings) -> Samples | None:
    samples = read_samples(audio)
    regions: Sequence[Region] = detect_speech(samples, settings)
    if not regions:
        return None
    return samples[regions[0].start_ms * SAMPLE_RATE_HZ // 1000 : regions[-1].stop_ms * SAMPLE_RATE_HZ // 1000]


def _probabilities(model: Any, samples: Samples) -> Mapping[str, float]:
    """Language codes with their probabilities, from the first 30 s."""
    if not model.is_multilingual:
        return {"en": 1.0}
    from whisper.audio import log_mel_spectrogram, pad_or_trim

    # In the number format in which the model's weights were laid out for its device.
    layout = model.encoder.conv1.weight
    mel = log_mel_spectrogram(pad_or_trim(samples), model.dims.n_mels).to(layout.device).to(layout.dtype)
    _, probabilities = model.detect_language(mel)
    return dict(probabilities)


def _counted(opinions: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    means: Counter[str] = Counter()
    for opinion in opinions.values():
        for code, probability in opinion.items():
            means[code] += probability / len(opinions)  # type: ignore[assignment]
    # By probability, then by code, so that a tie is no accident either.
    ranking = sorted(means.items(), key=lambda item: (-item[1], item[0]))
    language = ranking[0][0] if ranking else None
    LOG.info("language: %s, heard in %d scenes", language or "nobody speaks", len(opinions))
    return {
        "language": language,
        "votes": {scene: max(sorted(opinion), key=opinion.__getitem__) for scene, opinion in opinions.items()},
        "probabilities": {code: round(mean, 4) for code, mean in ranking if mean >= LEAST_PROBABILITY},
    }
