"""Training of the demo's restoration network from scratch, on a CPU: a Compact network as spandrel builds it.

The network sees one frame after the filters and adds to it what it thinks is missing. It starts by adding nothing. The
architecture is SRVGGNetCompact (Wang et al. 2021, "Real-ESRGAN", arXiv 2107.10833) at scale 1, much smaller than usual.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tapemill.models.torchvision_shim import make_importable
from tapemill.storage import atomic, fingerprint

from .degraded_pairs import FULL, Pairs, load_pairs

if TYPE_CHECKING:
    import torch

LOG = logging.getLogger("tapemill.demo.restoration_training")

# Y', Cb and Cr of a difference in R'G'B' (BT.601), each in -1..1.
TO_YCBCR = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
# Eyes see, and PSNR over all samples of 4:2:0 counts, four samples of luma for one of each colour.
PLANE_WEIGHTS = (4 / 6, 1 / 6, 1 / 6)
# Below this difference the loss is a parabola, above it straight (Charbonnier): dropouts should not rule.
SOFT = 0.02
WARM_UP_STEPS, LOG_STEPS = 100, 250
# The last clips in so many are kept to measure with.
HELD_OUT = 16


@dataclass(frozen=True)
class TrainingSettings:
    """How large a network, and how long it learns. Steps are counted, not timed, so that a run can be repeated."""

    features: int = 16
    convs: int = 2
    """Convolutions between the first and the last."""
    steps: int = 7_000
    batch: int = 4
    learning_rate: float = 2e-3
    seed: int = 0
    threads: int = 1


class Learner:
    """A network and its optimiser."""

    def __init__(self, settings: TrainingSettings) -> None:
        """Initialise from scratch, the same way each time."""
        import torch

        torch.manual_seed(settings.seed)
        self.settings = settings
        self.network = new_network(settings.features, settings.convs)
        self.steps = 0
        self._optimiser = torch.optim.Adam(self.network.parameters(), settings.learning_rate, betas=(0.9, 0.99))
        self._to_ycbcr = torch.tensor(TO_YCBCR)
        self._weights = torch.tensor(PLANE_WEIGHTS)

    def step(self, seen: torch.Tensor, truth: torch.Tensor) -> float:
        """Learn from one batch. Returns its loss before the step."""
        import torch

        settings = self.settings
        warm = min(1.0, (self.steps + 1) / WARM_UP_STEPS)
        cosine = 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(self.steps / settings.steps, 1)))
        for group in self._optimiser.param_groups:
            group["lr"] = float(settings.learning_rate * warm * cosine)
        loss = self.loss(seen, truth)
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 0.1)
        self._optimiser.step()
        self.steps += 1
        return loss.item()

    def loss(self, seen: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        """Loss: the difference from the truth in Y'CbCr."""
        import torch

        # Patches end where pictures go on: what the network made of nothing beyond their edges does not count.
        inside = self.settings.convs + 2
        difference = (self.network(seen) - truth)[:, :, inside:-inside, inside:-inside]
        planes = torch.einsum("pc,nchw->nphw", self._to_ycbcr, difference)
        softened = torch.sqrt(planes**2 + SOFT**2) - SOFT
        return (softened.mean((0, 2, 3)) * self._weights).sum()

    def psnr_db(self, pairs: Pairs) -> tuple[float, float]:
        """PSNR of luma over the patches, as they were seen and after the network."""
        import torch

        luma, batch = self._to_ycbcr[0][:, None, None], self.settings.batch
        before = after = 0.0
        with torch.inference_mode():
            for index in range(0, len(pairs.seen), batch):
                part = slice(index, index + batch)
                seen, truth = tensor(pairs.seen[part]), tensor(pairs.truth[part])
                before += float((((seen - truth) * luma).sum(1) ** 2).sum())
                after += float((((self.network(seen).clamp(0, 1) - truth) * luma).sum(1) ** 2).sum())
        return _psnr_db(before, pairs), _psnr_db(after, pairs)


def _psnr_db(total: float, pairs: Pairs) -> float:
    """As usual, decibels relate to the 255 steps of 8 bits, of which luma takes 219."""
    return 10 * math.log10((255 / 219) ** 2 * pairs.seen.size / 3 / total)


def new_network(features: int, convs: int) -> torch.nn.Module:
    """A Compact network at scale 1 that gives back what it is given."""
    import torch

    make_importable()
    from spandrel.architectures.Compact import Compact

    network = Compact(num_in_ch=3, num_out_ch=3, num_feat=features, num_conv=convs, upscale=1)
    last = network.body[-1]
    last.weight.data.zero_()
    last.bias.data.zero_()
    # Half as much time for a step as with channels first.
    result: torch.nn.Module = network.to(memory_format=torch.channels_last)
    return result


def train_network(*, pairs: Path, model: Path, settings: TrainingSettings) -> None:
    """Train on pairs for a set number of steps and write the network as spandrel reads it."""
    import torch

    torch.set_num_threads(settings.threads)
    known = load_pairs(pairs)
    first_held_out = len(known.seen) - len(known.seen) // HELD_OUT
    learnt = Pairs(known.seen[:first_held_out], known.truth[:first_held_out])
    held_out = Pairs(known.seen[first_held_out:], known.truth[first_held_out:])
    learner = Learner(settings)
    count = sum(parameter.numel() for parameter in learner.network.parameters())
    LOG.info("%d patches, %d held out, %d parameters", len(learnt.seen), len(held_out.seen), count)
    mean = 0.0
    for seen, truth in _batches(learnt, settings):
        mean += learner.step(seen, truth) / LOG_STEPS
        if learner.steps % LOG_STEPS == 0:
            LOG.info("step %d: loss %.5f", learner.steps, mean)
            mean = 0.0
    before, after = learner.psnr_db(held_out)
    LOG.info("held out: luma %.2f dB before the network, %.2f dB after it", before, after)
    export(learner, model, pairs)


def _batches(pairs: Pairs, settings: TrainingSettings) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """As many batches as there are steps: all patches in random order, again and again."""
    rng, waiting = np.random.default_rng(settings.seed), np.empty(0, np.int64)
    for _ in range(settings.steps):
        if len(waiting) < settings.batch:
            waiting = rng.permutation(len(pairs.seen))
        chosen, waiting = waiting[: settings.batch], waiting[settings.batch :]
        yield tensor(pairs.seen[chosen]), tensor(pairs.truth[chosen])


def tensor(planes: np.ndarray) -> torch.Tensor:
    """Planes of 16 bits as the network takes them: 0 to 1, channels last. shape as given, (n, 3, height, width)."""
    import torch

    whole = torch.from_numpy(planes.astype(np.float32) / np.float32(FULL))
    return whole.contiguous(memory_format=torch.channels_last)


def export(learner: Learner, target: Path, pairs: Path) -> None:
    """Write the weights as safetensors, with what they were made by."""
    from safetensors.torch import save_file

    settings = {name: value for name, value in asdict(learner.settings).items() if name != "threads"}
    made_by = {"rule": "train_demo_network", "pairs_sha256": fingerprint.sha256(pairs), **settings}
    # In one entry: several would come in another order each time.
    facts = {"made_by": json.dumps(made_by, sort_keys=True)}
    with atomic.staged(target) as partial:
        weights = {name: value.contiguous() for name, value in learner.network.state_dict().items()}
        save_file(weights, partial, facts)
