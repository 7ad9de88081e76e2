"""Network of the demo model: openai-whisper's, with a small vocabulary in training and the full one when exported.

Only the vocabulary rows that the 113 words need are trained. In the exported model all others are one constant row
against a pinned feature of the last layer, which gives them a logit of -24; so they are never chosen, and they compress
to nothing.
"""

from __future__ import annotations

import zipfile
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from demo.tape import sentences
from tapemill.storage import atomic

if TYPE_CHECKING:
    import torch
    from whisper.model import ModelDimensions, Whisper

WIDTH, HEADS, LAYERS = 128, 4, 2
MEL_BANDS, FRAMES, TEXT_TOKENS = 80, 1500, 448
VOCABULARY = 51_864
"""Of Whisper's English-only models."""
FRAMES_PER_S = 50
TIMES = FRAMES + 1
"""Time tokens, one for each frame of a window and its end."""
PINNED, UNUSED = 8.0, -3.0
# Where the four heads of the two encoder layers look at first, in frames, and from which sinusoid on.
LOCAL_OFFSETS = ((-5, -2, 2, 5), (-14, -6, 6, 14))
FIRST_SINUSOIDS = (0, 3)


@dataclass(frozen=True)
class Tokens:
    """The compact vocabulary: token ids counted from 0 in the order of `used`."""

    tokenizer: Any
    used: tuple[int, ...]
    compact: dict[int, int]
    first_time: int
    end: int
    start: int
    previous: int
    no_speech: int
    no_times: int

    def of_word(self, word: str) -> list[int]:
        """Compact tokens of a word within a sentence."""
        return [self.compact[token] for token in self.tokenizer.encode(f" {word}")]

    @property
    def full_stop(self) -> int:
        """Compact token of the full stop."""
        return self.compact[self.tokenizer.encode(".")[0]]


@cache
def tokens() -> Tokens:
    """The compact vocabulary of the demo's words."""
    from whisper.tokenizer import get_tokenizer

    tokenizer = get_tokenizer(False)
    written = {word: sentences.FORMS.get(word, word) for word in sentences.WORDS}
    text = {
        token
        for word in sentences.WORDS
        for form in {written[word], word.capitalize()}
        for token in tokenizer.encode(f" {form}")
    }
    text |= {token for word in sentences.WORDS for token in tokenizer.encode(written[word].capitalize())}
    text |= {*tokenizer.encode("."), *tokenizer.encode(" ")}
    special = (tokenizer.eot, tokenizer.sot, tokenizer.sot_prev, tokenizer.no_speech, tokenizer.no_timestamps)
    used = (*sorted(text), *special, *range(tokenizer.timestamp_begin, tokenizer.timestamp_begin + TIMES))
    compact = {token: index for index, token in enumerate(used)}
    end, start, previous, no_speech, no_times = (compact[token] for token in special)
    first_time = compact[tokenizer.timestamp_begin]
    return Tokens(tokenizer, used, compact, first_time, end, start, previous, no_speech, no_times)


def dimensions(vocabulary: int) -> ModelDimensions:
    """The demo model's size, for a vocabulary."""
    from whisper.model import ModelDimensions

    return ModelDimensions(
        n_mels=MEL_BANDS,
        n_audio_ctx=FRAMES,
        n_audio_state=WIDTH,
        n_audio_head=HEADS,
        n_audio_layer=LAYERS,
        n_vocab=vocabulary,
        n_text_ctx=TEXT_TOKENS,
        n_text_state=WIDTH,
        n_text_head=HEADS,
        n_text_layer=LAYERS,
    )


def new_network() -> Whisper:
    """A network with the compact vocabulary and random weights."""
    from whisper.model import Whisper

    return Whisper(dimensions(len(tokens().used)))


def prepare(network: Whisper) -> None:
    """Give a new network its head start.

    Its encoder heads start as windows on the neighbourhood, its time tokens as the encoder's own positions: both are
    what a network of this size would spend its first hour to find.
    """
    from whisper.model import sinusoids

    for block, offsets, first in zip(network.encoder.blocks, LOCAL_OFFSETS, FIRST_SINUSOIDS, strict=True):
        query, key = _local_attention(offsets, first)
        block.attn.query.weight.data, block.attn.key.weight.data = query, key
        block.attn.query.bias.data.zero_()
    decoder = network.decoder
    decoder.positional_embedding.data.normal_(0, 0.02)
    rows = decoder.token_embedding.weight.data
    rows.normal_(0, 0.1)
    rows[tokens().first_time :] = 0.1 * sinusoids(TIMES, WIDTH)
    rows[:, 0] = 0
    pin_first_feature(network)


def _local_attention(offsets: tuple[int, ...], first: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Query and key weights under which head i attends to the frame `offsets[i]` away. shape = (WIDTH, WIDTH) each."""
    import torch

    half, head_width = WIDTH // 2, WIDTH // HEADS
    rates = torch.exp(-np.log(10000) / (half - 1) * torch.arange(half))
    query, key = torch.randn(WIDTH, WIDTH) * 0.02, torch.randn(WIDTH, WIDTH) * 0.02
    for head, offset in enumerate(offsets):
        for pair in range(head_width // 2):
            wave = first + pair
            sine, cosine = head * head_width + 2 * pair, head * head_width + 2 * pair + 1
            key[sine, wave] += 1.4
            key[cosine, half + wave] += 1.4
            query[sine, wave] += 1.4 * torch.cos(rates[wave] * offset)
            query[sine, half + wave] += 1.4 * torch.sin(rates[wave] * offset)
            query[cosine, half + wave] += 1.4 * torch.cos(rates[wave] * offset)
            query[cosine, wave] -= 1.4 * torch.sin(rates[wave] * offset)
    return query, key


def pin_first_feature(network: Whisper) -> None:
    """Hold the first feature of the decoder's output constant, whatever the last step of training did to it."""
    network.decoder.ln.weight.data[0] = 0
    network.decoder.ln.bias.data[0] = PINNED


def export(network: Whisper, target: Path) -> None:
    """Write the network as a checkpoint that `whisper.load_model` reads: all tokens, half precision, compressed."""
    import torch
    from whisper.model import Whisper

    full = Whisper(dimensions(VOCABULARY))
    state = {name: value.clone() for name, value in network.state_dict().items()}
    rows = torch.zeros(VOCABULARY, WIDTH)
    rows[:, 0] = UNUSED
    rows[torch.tensor(tokens().used)] = state["decoder.token_embedding.weight"]
    state["decoder.token_embedding.weight"] = rows
    full.load_state_dict(state)
    half = {name: value.half() for name, value in full.state_dict().items()}
    with atomic.staged(target) as partial:
        torch.save({"dims": asdict(full.dims), "model_state_dict": half}, partial)
        _compress(partial)


def _compress(archive: Path) -> None:
    """Write a checkpoint's zip again with compression, which torch reads though it never writes it."""
    with zipfile.ZipFile(archive) as source:
        items = [(item.filename, source.read(item)) for item in source.infolist()]
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as target:
        for name, data in items:
            # No date of today in the file.
            target.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED, 9)
