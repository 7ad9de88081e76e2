"""How well a scene can be listened to with the memory there is: the beam and the model, chosen before loading."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

from tapemill.core.errors import ModelError
from tapemill.devices import model_cache
from tapemill.devices.device import Device, dtype_for
from tapemill.devices.memory import peak_bytes, reset_peak, synchronize, used_bytes
from tapemill.devices.memory_planner import ActivationCache, Candidate, MemoryPlan, first_that_fits
from tapemill.models import ModelFile, verify_model

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
class Hearing:
    """A way to listen."""

    model: ModelFile
    beam_size: int
    words: bool
    """Whether words are timed."""
    alone: bool = False
    """Whether all other models leave first. The result is the same."""

    @property
    def name(self) -> str:
        """As it is logged."""
        beam = f"beam of {self.beam_size}" if self.beam_size > 1 else "no beam"
        return ", ".join([self.model.path.stem, beam, *(["alone"] if self.alone else [])])

    def key(self, device: Device) -> str:
        """What a measurement of its activations is kept under."""
        words = "words" if self.words else "segments"
        return ActivationCache.key(self.model.sha256, device, str(dtype_for(device)), f"beam {self.beam_size}", words)

    def weights_bytes(self, device: Device) -> int:
        """What its weights take on the device."""
        return weights_bytes(self.model.path, dtype_for(device))

    def need_bytes(self, device: Device) -> int:
        """Weights and activations together."""
        return self.weights_bytes(device) + self.activation_bytes(device)

    def activation_bytes(self, device: Device) -> int:
        """What they will take beside that: measured in earlier jobs, else estimated."""
        measured = ActivationCache().bytes_of(self.key(device))
        if measured is not None:
            return measured
        share = ENCODER_SHARE + BEAM_SHARE * self.beam_size + (WORDS_SHARE if self.words else 0)
        return LEAST_ACTIVATION_BYTES + round(share * self.weights_bytes(device))


def fitting(wish: Hearing, smaller: Sequence[ModelFile], device: Device) -> MemoryPlan[Hearing]:
    """The wish if there is memory for it, else its best replacement: without a beam, then by smaller models.

    After a first lack of memory it is tried once more with nothing beside it, in the fresh process that follows one. A
    smaller model whose file is not the pinned one is left out. Raises OutOfMemory if nothing will ever fit.
    """
    usable = list(smaller)
    while True:
        choice = first_that_fits(_ladder(wish, usable, device), device, model_cache.headroom_bytes(device))
        model = choice.candidate.value.model
        if model == wish.model:
            break
        try:
            verify_model(model.path, model.sha256)
        except ModelError as error:
            LOG.warning("this smaller model is not used: %s", error)
            usable.remove(model)
        else:
            break
    as_asked = replace(choice.candidate.value, alone=False) == wish
    if not as_asked:
        LOG.warning("listening with %s instead of what was asked for", choice.candidate.name)
    if choice.candidate.value.alone:
        model_cache.clear()
    if choice.rejections and not usable and not (as_asked and device.degrade_level == 1):
        LOG.warning(
            "no smaller Whisper model of this kind is here to fall back on: to have one, name it once in "
            "`subtitles: model`, run `snakemake fetch_models`, and name yours again"
        )
    return choice


def _ladder(wish: Hearing, smaller: Sequence[ModelFile], device: Device) -> list[Candidate[Hearing]]:
    # Before anything is loaded both need the same.
    ways = [wish, replace(wish, alone=True)] if device.degrade_level else [wish]
    if wish.beam_size > 1:
        ways.append(Hearing(wish.model, 1, wish.words))
    ways += [Hearing(model, 1, wish.words) for model in smaller]
    return [
        Candidate(
            name=way.name,
            value=way,
            need_bytes=way.need_bytes(device),
        )
        for way in ways
    ]


def lowered(wish: Hearing, choice: MemoryPlan[Hearing]) -> dict[str, Any]:
    """What the record says about it; empty if the wish was fulfilled, so that undisturbed records stay the same."""
    taken = choice.candidate.value
    if replace(taken, alone=False) == wish:
        return {}
    return {
        "lowered": {
            "model": taken.model.path.stem,
            "model_sha256": taken.model.sha256,
            "beam_size": taken.beam_size,
            "decisions": [decision.to_plain() for decision in choice.rejections],
        }
    }


@contextmanager
def measuring(hearing: Hearing, device: Device) -> Iterator[None]:
    """Measure what the block takes beside the weights, which are there already, and remember it for later jobs.

    On the CPU this is the growth of the whole process.
    """
    reset_peak(device)
    before = used_bytes(device)
    try:
        yield
    except Exception:
        # If the memory ran out it is at least this much, and the next preflight knows. A lost card says nothing.
        with suppress(RuntimeError):
            ActivationCache().add(hearing.key(device), peak_bytes(device) - before)
        raise
    synchronize(device)
    ActivationCache().add(hearing.key(device), peak_bytes(device) - before)
