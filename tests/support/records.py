"""Records of jobs with every field, for tests that care about a few of them."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from tapemill.media.capture_info import Crop
from tapemill.media.colour import Colour
from tapemill.provenance.load import read_document
from tapemill.provenance.model import Provenance
from tapemill.records.clip import ClipRecord, NetworkRun
from tapemill.records.subtitles import AsrInputs, HeardSpeech
from tapemill.storage.atomic import write_json
from tapemill.storage.typed_json import JsonRecord

PROVENANCE_FORMAT_2 = Path(__file__).parents[1] / "unit/provenance/data/provenance_format_2.json"
"""Written by version 0.2.0 before format 3."""


def clip_record(**changes: Any) -> ClipRecord:
    """Return the record of a clip that two filters made."""
    record = ClipRecord(
        encoder="libx264",
        encoder_asked="libx264",
        field_order="tff",
        field_order_differs=False,
        field_orders_seen={},
        frames_in=50,
        frames_out=100,
        crop=Crop(0, 0, 720, 576),
        width=768,
        height=576,
        rate=Fraction(50),
        pixel_format="yuv420p",
        colour=Colour("bt470bg", "bt470bg", "bt470bg", "tv"),
        filters=("bwdif", "hqdn3d"),
        commands=("ffmpeg -i file:{cut} -vf bwdif,hqdn3d file:{clip}",),
        codec_private_sha256="0" * 64,
        likeness=(0.99,),
    )
    return replace(record, **changes)


def network_run(**changes: Any) -> NetworkRun:
    """Return the entry of a network in the record of a clip."""
    run = NetworkRun("mine", "1" * 64, 1, 1.0, "float32", 1, None, 0)
    return replace(run, **changes)


def asr_inputs(**changes: Any) -> AsrInputs:
    """Return the inputs of a recognition."""
    inputs = AsrInputs("2" * 64, "3" * 64, "transcribe", "en", {}, 1, {"silero-vad": "6.2.3"})
    return replace(inputs, **changes)


def heard(**changes: Any) -> HeardSpeech:
    """Return the result of a recognition without speech."""
    return replace(HeardSpeech("en", (), ()), **changes)


def provenance() -> Provenance:
    """Return the provenance of a real tape of four scenes: one with a network, all without speech."""
    return read_document(PROVENANCE_FORMAT_2)


def write_record(path: Path, record: JsonRecord) -> None:
    """Write a record as a job writes it."""
    write_json(path, record.to_plain())
