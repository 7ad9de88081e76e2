"""Language of a tape, by a vote of several of its scenes."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tapemill.core.errors import InputError
from tapemill.core.progress import report
from tapemill.devices.determinism import torch_threads
from tapemill.devices.device import CPU, Device, open_device
from tapemill.models import ModelFile
from tapemill.records.speech import SpeechRegion
from tapemill.records.subtitles import AsrDowngrade, LanguageRecord
from tapemill.storage import atomic
from tapemill.storage.typed_json import read_record

from .model_selection import AsrConfig, downgrade_record, select_model
from .settings import SubtitlesSettings
from .vad import SAMPLE_RATE_HZ, detect_speech, read_samples
from .whisper_loader import load_model

if TYPE_CHECKING:
    from .vad import Samples

LOG = logging.getLogger("tapemill.subtitles")

REMEDY = "delete it, and the workflow makes it again"

# Languages with a lower mean are not recorded; Whisper returns a hundred each time.
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
    """Write JSON: `language` (null if there is no speech), `votes` by scenes, `probabilities` as means over them.

    Each scene with speech is analysed from its first word on and counts with Whisper's probabilities, so that one
    doubtful scene does not outvote a sure one. With an English-only model the answer is English. Where memory is
    short, one of the models in `smaller` replaces `model`, and the file has that under `lowered`. Raises SceneError,
    ModelError, SetupError, OutOfMemory.
    """
    votes, downgrade = _scene_probabilities(audios, model, smaller, settings, device)
    atomic.write_json(target, replace(_tally(votes), lowered=downgrade).to_plain())


def _scene_probabilities(
    audios: Sequence[Path],
    model: ModelFile,
    smaller: Sequence[ModelFile],
    settings: SubtitlesSettings,
    device: Device,
) -> tuple[dict[str, Mapping[str, float]], AsrDowngrade | None]:
    """Language probabilities of each scene with speech, and the record of a smaller model, if one was used."""
    samples_of = {audio.stem: _speech_part(audio, settings) for audio in audios}
    with_speech = {scene: samples for scene, samples in samples_of.items() if samples is not None}
    probabilities_of: dict[str, Mapping[str, float]] = {}
    downgrade: AsrDowngrade | None = None
    if with_speech:
        open_device(device)
        # A language is one token: there is no beam, and no word is timed.
        requested = AsrConfig(model, 1, words=False)
        choice = select_model(requested, smaller, device)
        downgrade, used = downgrade_record(requested, choice), choice.candidate.value
        report(f"detecting the language with {choice.candidate.name}", model=[used.model.path.stem])
        loaded = load_model(used.model, device, headroom_bytes=used.activation_bytes(device))
        with torch_threads(settings.torch_threads):
            for scene, samples in with_speech.items():
                probabilities_of[scene] = _probabilities(loaded, samples)
    return probabilities_of, downgrade


def read_language(path: Path) -> str | None:
    """Read the language that `vote_language` wrote; None without speech. Raises InputError for a damaged record."""
    language = read_record(LanguageRecord, path, error=InputError, remedy=REMEDY).language
    if language == "":
        raise InputError("this record names no language", file=path, remedy=REMEDY)
    return language


def _speech_part(audio: Path, settings: SubtitlesSettings) -> Samples | None:
    """Samples of a scene from the first to the last speech; None without speech."""
    samples = read_samples(audio)
    regions: Sequence[SpeechRegion] = detect_speech(samples, settings)
    if not regions:
        return None
    return samples[regions[0].start_ms * SAMPLE_RATE_HZ // 1000 : regions[-1].stop_ms * SAMPLE_RATE_HZ // 1000]


def _probabilities(model: Any, samples: Samples) -> Mapping[str, float]:
    """Language codes with their probabilities, from the first 30 s."""
    if not model.is_multilingual:
        return {"en": 1.0}
    from whisper.audio import log_mel_spectrogram, pad_or_trim

    # In the number format of the model's weights on its device.
    weight = model.encoder.conv1.weight
    mel = log_mel_spectrogram(pad_or_trim(samples), model.dims.n_mels).to(weight.device).to(weight.dtype)
    _, probabilities = model.detect_language(mel)
    return dict(probabilities)


def _tally(probabilities_of: Mapping[str, Mapping[str, float]]) -> LanguageRecord:
    means: Counter[str] = Counter()
    for scene_probabilities in probabilities_of.values():
        for code, probability in scene_probabilities.items():
            means[code] += probability / len(probabilities_of)  # type: ignore[assignment]
    # By probability, then by code, so that a tie is deterministic too.
    ranking = sorted(means.items(), key=lambda item: (-item[1], item[0]))
    language = ranking[0][0] if ranking else None
    LOG.info("language: %s, by %d scenes with speech", language or "none", len(probabilities_of))
    return LanguageRecord(
        language=language,
        votes={
            scene: max(sorted(scene_probabilities), key=scene_probabilities.__getitem__)
            for scene, scene_probabilities in probabilities_of.items()
        },
        probabilities={code: round(mean, 4) for code, mean in ranking if mean >= LEAST_PROBABILITY},
    )
