"""Evaluation of a restoration network on the demo tape, whose truth is known, against the filters alone."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any

from demo.score import measure_similarity
from demo.tape import storyboard
from demo.tape.vhs_degradation import CHROMA_DELAY_SAMPLES
from tapemill.devices.device import CPU
from tapemill.enhance import enhance_scene
from tapemill.models import Model
from tapemill.storage import atomic, fingerprint

from .degraded_pairs import CAPTURE, DELAY_LINE_LINES, SETTINGS, TO_COME, scene

LOG = logging.getLogger("tapemill.demo.restoration_evaluation")

# What the demo's config says of its tape, and an encoder that loses nothing.
OF_THE_DEMO: Mapping[str, Any] = MappingProxyType(
    {
        "chroma_shift_samples": -2 * CHROMA_DELAY_SAMPLES,
        "chroma_shift_lines": -DELAY_LINE_LINES,
        "encoder": "ffv1",
        "pixel_format": "yuv420p",
    }
)


def evaluate_network(*, model: Path, capture: Path, truth: Path, report: Path, threads: int) -> None:
    """Restore the demo tape by the filters of `fast` and by the network, and compare both with the truth.

    `report` (JSON) gets both likenesses, and how long the stage took.
    """
    network = Model(str(model), "frame", model, fingerprint.sha256(model), scale=1)
    trials = {"fast": ({"preset": "fast"}, TO_COME), "network": (SETTINGS, network)}
    figures = {}
    for name, (settings, chosen) in trials.items():
        figures[name] = restore_and_compare(
            capture, truth, {**OF_THE_DEMO, **settings, "encoder_threads": threads}, chosen, report, storyboard.FRAMES
        )
        LOG.info("%s: %s", name, figures[name])
    atomic.write_json(report, figures)


def restore_and_compare(
    capture: Path, truth: Path, settings: Mapping[str, Any], model: Model, report: Path, frames: int
) -> dict[str, float]:
    """Run the whole stage on a capture like the demo's, `frames` long, as one scene."""
    of = scene(settings, model)
    with atomic.scratch_dir(report) as folder:
        video = folder / "restored.mkv"
        started = time.monotonic()
        enhance_scene(
            clip=capture,
            target=video,
            record=video.with_suffix(".json"),
            picture=CAPTURE,
            frames=frames,
            settings=of.settings,
            device=CPU,
        )
        seconds = time.monotonic() - started
        like = measure_similarity(video, truth, prepare="format=yuv420p", height=of.crop.height)
    values = {name: round(value, 4) for name, value in asdict(like).items()}
    return {**values, "seconds_per_picture": round(seconds / of.output.frames(frames), 4)}
