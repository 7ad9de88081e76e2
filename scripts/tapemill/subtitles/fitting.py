"""How well a scene can be listened to with the memory there is: the beam and the model, chosen before loading."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from .. import resident
from ..cardmemory import peak_bytes, reset_peak, synchronize, used_bytes
from ..device import Device, dtype_for
from ..errors import ModelError
from ..memory import Choice, Measured, Step, choose
from ..models import ModelFile, verify_model
from .loading import weights_bytes

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

    def key(self, device: Device) -> str:
        """What a measurement of its activations is kept under."""
        words = "words" if self.words else "segments"
        return Measured.key(self.model.sha256, device, str(dtype_for(device)), f"beam {self.beam_size}", words)

    def weights_bytes(self, device: Device) -> int:
        """What its weights take on the device."""
        return weights_bytes(self.model.path, dtype_for(device))

    def need_bytes(self, device: Device) -> int:
        """Weights and activations together."""
        return self.weights_bytes(device) + self.activation_bytes(device)

    def activation_bytes(self, device: Device) -> int:
        """What they will take beside that: measured in earlier jobs, else estimated."""
        measured = Measured().bytes_of(self.key(device))
        if measured is not None:
            return measured
        share = ENCODER_SHARE + BEAM_SHARE * self.beam_size + (WORDS_SHARE if self.words else 0)
        return LEAST_ACTIVATION_BYTES + round(share * self.weights_bytes(device))


def fitting(wish: Hearing, smaller: Sequence[ModelFile], device: Device) -> Choice[Hearing]:
    """The wish if there is memory for it, else its best replacement: first without a beam, then smaller models.

    A smaller model whose file is not the pinned one is left out. Raises OutOfMemory if nothing will ever fit.
    """
    usable = list(smaller)
    while True:
        choice = choose(_ladder(wish, usable, device), device, resident.room_bytes(device))
        model = choice.step.value.model
        if model == wish.model:
            break
        try:
            verify_model(model.path, model.sha256)
        except ModelError as error:
            LOG.warning("this smaller model is not used: %s", error)
            usable.remove(model)
        else:
            break
    if model != wish.model or wish.beam_size != choice.step.value.beam_size:
        LOG.warning("listening with %s instead of what was asked for", choice.step.name)
    if choice.decisions and not usable:
        LOG.warning(
            "no smaller Whisper model of this kind is here to fall back on: to have one, name it once in "
            "`subtitles: model`, run `snakemake models`, and name yours again"
        )
    return choice


def _ladder(wish: Hearing, smaller: Sequence[ModelFile], device: Device) -> list[Step[Hearing]]:
    ways = [wish]
    if wish.beam_size > 1:
        ways.append(Hearing(wish.model, 1, wish.words))
    ways += [Hearing(model, 1, wish.words) for model in smaller]
    return [
        Step(
            name=f"{way.model.path.stem}, {f'beam of {way.beam_size}' if way.beam_size > 1 else 'no beam'}",
            value=way,
            need_bytes=way.need_bytes(device),
        )
        for way in ways
    ]


def lowered(wish: Hearing, choice: Choice[Hearing]) -> dict[str, Any]:
    """What the record says about it; empty if the wish was fulfilled, so that undisturbed records stay the same."""
    taken = choice.step.value
    if taken == wish:
        return {}
    return {
        "lowered": {
            "model": taken.model.path.stem,
            "model_sha256": taken.model.sha256,
            "beam_size": taken.beam_size,
            "decisions": [decision.to_plain() for decision in choice.decisions],
        }
    }


@contextmanager
def measuring(hearing: Hearing, device: Device) -> Iterator[None]:
    """Measure what the block takes beside the weights, which are there already, and remember it for later jobs.

    On the CPU this is the growth of the whole process.
    """
    reset_peak(device)
    before = used_bytes(device)
    yield
    synchronize(device)
    Measured().add(hearing.key(device), peak_bytes(device) - before)
