"""Scenes of a tape that are not what they should be, by the records beside their clips."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..notices import Notice


def replaced(clips: Sequence[Path]) -> Iterator[Notice]:
    """Scenes whose picture is not restored, and those in which pictures stand in for damaged ones.

    Clips without a record, which somebody put there, are what they should be.
    """
    for clip in clips:
        try:
            record = json.loads(clip.with_suffix(".json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            continue
        if "kept_original" in record:
            yield Notice("kept", "{error}: {message}".format(**record["kept_original"]), scene=clip.stem)
        if "stands_in" in record:
            yield Notice("stands_in", record["stands_in"], scene=clip.stem)
