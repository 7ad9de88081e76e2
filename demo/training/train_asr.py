"""Training of the demo speech model from scratch, on a CPU, in about an hour.

Training alone has helpers that are not in the exported model: known word times guide cross-attention (one head of
decoder layer 0 to the word just given, three of layer 1 to the word to come), and a linear layer on the encoder's
output names the word spoken in each frame. Short windows come before long ones, and go on between them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from demo.tape import sentences

from . import speech_corpus, whisper_small_vocab
from .espeak import Utterance
from .training_windows import Batch, BatchPlan, Windows
from .whisper_small_vocab import FRAMES, HEADS, PINNED, TIMES, UNUSED, WIDTH, tokens

if TYPE_CHECKING:
    import torch
    from whisper.model import Whisper

LOG = logging.getLogger("tapemill.demo.training")
# Rows of the vocabulary that are left out while training still count as competitors, all at one constant logit.
OTHERS_LOGIT = PINNED * UNUSED + float(np.log(50_000))
ATTENTION_WEIGHT, WORD_WEIGHT = 0.3, 0.5
WARM_UP_STEPS, LOG_STEPS = 100, 25


@dataclass(frozen=True)
class Stage:
    """One part of the schedule: batches of these shapes in turn, until this share of the time has passed."""

    plans: tuple[BatchPlan, ...]
    until: float


SCHEDULE = (
    Stage((BatchPlan(300, 16),), 0.5),
    Stage((BatchPlan(750, 16),), 0.6),
    Stage((BatchPlan(FRAMES, 8), BatchPlan(300, 16), BatchPlan(300, 16)), 1.0),
)


@dataclass(frozen=True)
class TrainingSettings:
    """Duration and learning rate of the training."""

    minutes: float = 60
    learning_rate: float = 1.5e-3
    threads: int = 1
    schedule: tuple[Stage, ...] = SCHEDULE


class Learner:
    """A network with its training helpers and its optimiser."""

    def __init__(self, learning_rate: float) -> None:
        """Initialise from scratch, the same way each time."""
        import torch

        torch.manual_seed(0)
        self.network: Whisper = whisper_small_vocab.new_network()
        self.word_head = torch.nn.Linear(WIDTH, len(sentences.WORDS) + 1)
        whisper_small_vocab.prepare(self.network)
        self.learning_rate = learning_rate
        self.steps = 0
        self._parameters = [*self.network.parameters(), *self.word_head.parameters()]
        self._optimiser = torch.optim.AdamW(self._parameters, learning_rate, betas=(0.9, 0.98), weight_decay=0.01)
        self._seen: dict[tuple[int, str], torch.Tensor] = {}
        for layer, block in enumerate(self.network.decoder.blocks):
            for name in ("query", "key"):
                getattr(block.cross_attn, name).register_forward_hook(self._watcher(layer, name))

    def _watcher(self, layer: int, name: str) -> Any:
        def keep(_module: Any, _given: Any, result: torch.Tensor) -> None:
            self._seen[layer, name] = result

        return keep

    def step(self, batch: Batch, progress: float) -> dict[str, float]:
        """Learn from one batch at a place 0 to 1 in the schedule. Returns what there is to log."""
        import torch

        warm = min(1.0, (self.steps + 1) / WARM_UP_STEPS)
        cosine = 0.03 + 0.97 * 0.5 * (1 + np.cos(np.pi * min(progress, 1)))
        for group in self._optimiser.param_groups:
            group["lr"] = float(self.learning_rate * warm * cosine)
        loss, log = self.loss(batch)
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self._parameters, 1.0)
        self._optimiser.step()
        whisper_small_vocab.pin_first_feature(self.network)
        self.steps += 1
        return log

    def loss(self, batch: Batch) -> tuple[torch.Tensor, dict[str, float]]:
        """Loss: tokens, guided attention, and the word of each frame."""
        from torch.nn import functional

        sound = encode(self.network, batch["mel"], batch["offset"])
        frames = sound.shape[1]
        words = functional.cross_entropy(self.word_head(sound).flatten(0, 1), batch["words"].flatten())
        logits = self.network.decoder(batch["given"], sound)
        text = token_loss(logits, batch)
        guided = self._attention_loss(0, 0, batch["given_at"], frames)
        for head in range(3):
            guided = guided + self._attention_loss(1, head, batch["wanted_at"], frames)
        total = text + ATTENTION_WEIGHT * guided + WORD_WEIGHT * words
        accuracy, time_error_s = _accuracy(logits, batch)
        log = {"loss": total.item(), "tokens": text.item(), "attention": guided.item() / 4, "words": words.item()}
        return total, {**log, "accuracy": accuracy, "time_error_s": time_error_s}

    def _attention_loss(self, layer: int, head: int, places: torch.Tensor, frames: int) -> torch.Tensor:
        """Divergence of one head's attention from the frames of a word, 0 where they agree."""
        import torch

        head_width = WIDTH // HEADS
        part = slice(head * head_width, (head + 1) * head_width)
        query, key = (self._seen[layer, name][..., part] for name in ("query", "key"))
        log_share = (query @ key.transpose(1, 2) / head_width**0.5).log_softmax(-1)
        at = torch.arange(frames)
        first, last = places[..., :1].float(), places[..., 1:].float()
        wanted = ((at >= first.floor()) & (at <= last.ceil())).float()
        counts = (wanted.sum(-1) > 0) & (places[..., 0] > -9)
        wanted = wanted / wanted.sum(-1, keepdim=True).clamp(1)
        entropy = (wanted * wanted.clamp(1e-9).log()).sum(-1)
        each: torch.Tensor = (entropy - (wanted * log_share).sum(-1)) * counts
        return each.sum() / counts.sum().clamp(1)


def encode(model: Whisper, mel: torch.Tensor, offset: torch.Tensor) -> torch.Tensor:
    """Whisper's encoder, for windows that lie `offset` frames into the 30 s. shape = (batch, frames, WIDTH)."""
    import torch
    from torch.nn import functional

    encoder = model.encoder
    hidden = functional.gelu(encoder.conv2(functional.gelu(encoder.conv1(mel)))).permute(0, 2, 1)
    hidden = hidden + encoder.positional_embedding[offset[:, None] + torch.arange(hidden.shape[1])]
    for block in encoder.blocks:
        hidden = block(hidden)
    result: torch.Tensor = encoder.ln_post(hidden)
    return result


def token_loss(logits: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Cross-entropy of the tokens, in which a time may be off a little.

    A window without speech learns "no speech", with the time that follows left open: that keeps its mean log
    probability so low that transcribe() skips it.
    """
    import torch

    known, wanted = tokens(), batch["wanted"]
    with_others = torch.cat([logits, torch.full_like(logits[..., :1], OTHERS_LOGIT)], -1)
    log_share = with_others.log_softmax(-1)
    near = torch.arange(-2, 3)
    weight = torch.exp(-0.5 * near.float() ** 2)
    is_time = (wanted >= known.first_time)[..., None]
    neighbours = (wanted[..., None] + near).clamp(known.first_time, known.first_time + TIMES - 1)
    neighbours = torch.where(is_time, neighbours, wanted[..., None])
    each = -(log_share.gather(-1, neighbours) * (weight / weight.sum())).sum(-1)
    open_times = log_share[:, 0, known.first_time : known.first_time + 51].mean(-1)
    silent = -0.9 * log_share[:, 0, known.no_speech] - 0.1 * open_times
    first = torch.zeros_like(each)
    first[:, 0] = 1
    each = torch.where((first * batch["silent"][:, None]) > 0, silent[:, None], each)
    return (each * batch["mask"]).sum() / batch["mask"].sum()


def _accuracy(logits: torch.Tensor, batch: Batch) -> tuple[float, float]:
    """Share of the text tokens that would be chosen right, and the median error of the times in seconds."""
    import torch

    known, wanted = tokens(), batch["wanted"]
    with torch.no_grad():
        learnt = batch["mask"] > 0
        text = learnt & (wanted < known.first_time) & (wanted != known.end) & (wanted != known.no_speech)
        hit = (logits.argmax(-1) == wanted)[text].float().mean()
        times = learnt & (wanted >= known.first_time) & ~batch["silent"][:, None]
        chosen = logits[..., known.first_time :].argmax(-1)
        error = (chosen - (wanted - known.first_time))[times].abs().float().median()
    return float(hit), float(error) * 0.02


def train_model(*, speech: Path, model: Path, settings: TrainingSettings) -> None:
    """Train the demo model on a corpus for a set time and write it in openai-whisper's format."""
    import torch

    torch.set_num_threads(settings.threads)
    utterances = speech_corpus.load(speech)
    learner = Learner(settings.learning_rate)
    parameters = sum(parameter.numel() for parameter in learner.network.parameters())
    LOG.info("%d utterances, %d tokens, %d parameters", len(utterances), len(tokens().used), parameters)
    started = time.monotonic()
    means: dict[str, float] = {}
    for index, stage in enumerate(settings.schedule):
        for batch in _batches(utterances, stage.plans, 1000 * index + learner.steps):
            progress = (time.monotonic() - started) / 60 / settings.minutes
            if progress >= stage.until:
                break
            log = learner.step(batch, progress)
            if batch["words"].shape[1] == stage.plans[0].frames:
                _smooth(means, log)
            if learner.steps % LOG_STEPS == 0:
                figures = " ".join(f"{name} {value:.3f}" for name, value in means.items())
                LOG.info("%4.1f min, step %d: %s", progress * settings.minutes, learner.steps, figures)
    whisper_small_vocab.export(learner.network, model)


def _smooth(means: dict[str, float], values: dict[str, float]) -> None:
    """Running means. A value that is not a number (a batch without any text) changes nothing."""
    for name, value in values.items():
        if not np.isnan(value):
            means[name] = 0.95 * means.get(name, value) + 0.05 * value


def _batches(utterances: Sequence[Utterance], plans: Sequence[BatchPlan], seed: int) -> Iterator[Batch]:
    """Batches made by one process beside the training."""
    from torch.utils.data import DataLoader, IterableDataset

    # The base class is a mark for the loader; it is added here so that importing this module does not import torch.
    dataset = type("WindowsDataset", (Windows, IterableDataset), {})(utterances, plans, seed)
    return iter(DataLoader(dataset, batch_size=None, num_workers=1, prefetch_factor=4, multiprocessing_context="fork"))
