"""Selection of beam and Whisper model for the memory there is, before anything is loaded."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from tapemill.core.errors import ModelError
from tapemill.devices import model_cache
from tapemill.devices.device import Device, dtype_for
from tapemill.devices.memory import peak_bytes, reset_peak, synchronize, used_bytes
from tapemill.devices.memory_planner import ActivationCache, Candidate, MemoryPlan, first_that_fits
from tapemill.models import ModelFile, verify_model
from tapemill.records.subtitles import AsrDowngrade

from .whisper_loader import weights_bytes

LOG = logging.getLogger("tapemill.subtitles")

# Activations of a model that was never measured on this kind of device. Whatever the model: spectra, logits, work space
# of the libraries and, where attention is not computed in tiles (word times never are), 12 bytes for each pair of the
# encoder's 1500 positions in each head, of which the largest models have 20.
LEAST_ACTIVATION_BYTES = 600 << 20
# What grows with the model, as shares of its weights: the encoder's layers, the keys and values of each beam (448
# tokens in each layer of the decoder), the attention of all these layers if words are timed.
ENCODER_SHARE = 0.2
BEAM_SHARE = 0.05
WORDS_SHARE = 0.3


@dataclass(frozen=True)
class AsrConfig:
    """Configuration of speech recognition that decides its memory."""

    model: ModelFile
    beam_size: int
    words: bool
    """Whether words are timed."""
    alone: bool = False
    """Whether all other models are unloaded first. The result is the same."""

    @property
    def name(self) -> str:
        """Name in the log."""
        beam = f"beam of {self.beam_size}" if self.beam_size > 1 else "no beam"
        return ", ".join([self.model.path.stem, beam, *(["alone"] if self.alone else [])])

    def key(self, device: Device) -> str:
        """Key of the measurement of its activations."""
        words = "words" if self.words else "segments"
        return ActivationCache.key(self.model.sha256, device, str(dtype_for(device)), f"beam {self.beam_size}", words)

    def weights_bytes(self, device: Device) -> int:
        """Memory of its weights on the device."""
        return weights_bytes(self.model.path, dtype_for(device))

    def need_bytes(self, device: Device) -> int:
        """Memory of weights and activations together."""
        return self.weights_bytes(device) + self.activation_bytes(device)

    def activation_bytes(self, device: Device) -> int:
        """Memory of its activations: measured in earlier jobs, else estimated."""
        measured = ActivationCache().bytes_of(self.key(device))
        if measured is not None:
            return measured
        share = ENCODER_SHARE + BEAM_SHARE * self.beam_size + (WORDS_SHARE if self.words else 0)
        return LEAST_ACTIVATION_BYTES + round(share * self.weights_bytes(device))


def select_model(requested: AsrConfig, smaller: Sequence[ModelFile], device: Device) -> MemoryPlan[AsrConfig]:
    """Select what fits the device: the requested configuration, else without a beam, else one of the `smaller` models.

    After a first out-of-memory the request is tried once more with all other models unloaded, in the fresh process
    that follows one. A smaller model whose file is not the pinned one is skipped. Raises OutOfMemory if nothing fits.
    """
    usable = list(smaller)
    while True:
        choice = first_that_fits(_candidates(requested, usable, device), device, model_cache.headroom_bytes(device))
        model = choice.candidate.value.model
        if model == requested.model:
            break
        try:
            verify_model(model.path, model.sha256)
        except ModelError as error:
            LOG.warning("this smaller model is not used: %s", error)
            usable.remove(model)
        else:
            break
    as_requested = replace(choice.candidate.value, alone=False) == requested
    if not as_requested:
        LOG.warning("memory is short: using %s instead of what was asked for", choice.candidate.name)
    if choice.candidate.value.alone:
        model_cache.clear()
    if choice.rejections and not usable and not (as_requested and device.degrade_level == 1):
        LOG.warning(
            "no smaller Whisper model of this kind is here to fall back on: to have one, name it once in "
            "`subtitles: model`, run `snakemake fetch_models`, and name yours again"
        )
    return choice


def _candidates(requested: AsrConfig, smaller: Sequence[ModelFile], device: Device) -> list[Candidate[AsrConfig]]:
    # Before anything is loaded the first two need the same.
    configs = [requested, replace(requested, alone=True)] if device.degrade_level else [requested]
    if requested.beam_size > 1:
        configs.append(AsrConfig(requested.model, 1, requested.words))
    configs += [AsrConfig(model, 1, requested.words) for model in smaller]
    return [
        Candidate(
            name=config.name,
            value=config,
            need_bytes=config.need_bytes(device),
        )
        for config in configs
    ]


def downgrade_record(requested: AsrConfig, choice: MemoryPlan[AsrConfig]) -> AsrDowngrade | None:
    """Entry `lowered` of a record; None if the request fits, so that records of undisturbed runs stay the same."""
    used = choice.candidate.value
    if replace(used, alone=False) == requested:
        return None
    return AsrDowngrade(used.model.path.stem, used.model.sha256, used.beam_size, choice.rejections)


@contextmanager
def measure_activations(config: AsrConfig, device: Device) -> Iterator[None]:
    """Measure the memory that the block takes beside the loaded weights, and store it for later jobs.

    On the CPU this is the growth of the whole process.
    """
    reset_peak(device)
    before = used_bytes(device)
    try:
        yield
    except Exception:
        # If the memory ran out, this is a lower bound for the next selection. A lost GPU has no peak to read.
        with suppress(RuntimeError):
            ActivationCache().add(config.key(device), peak_bytes(device) - before)
        raise
    synchronize(device)
    ActivationCache().add(config.key(device), peak_bytes(device) - before)
