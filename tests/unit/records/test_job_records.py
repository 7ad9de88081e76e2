"""Records of jobs: those of older and newer versions are read, and their warnings."""

import json

import jsonschema
import pytest

from tapemill.config.schema import schema
from tapemill.core.job_warnings import JobWarning
from tapemill.records import job_records
from tapemill.records.clip import ClipRecord
from tapemill.records.common import Failure, Rejection
from tapemill.records.subtitles import AsrDowngrade, RemovedSegment, SubtitleRecord
from tests.support.records import asr_inputs, clip_record, heard, network_run, write_record

# Of version 0.1.0, from before cuts recorded their command.
OLD_CLIP = {
    **{"encoder": "libx264", "encoder_asked": "libx264", "field_order": "tff", "field_order_differs": False},
    **{"field_orders_seen": {"tff": 20, "undetermined": 4}, "frames_in": 50, "frames_out": 100},
    **{"crop": {"height": 566, "left": 0, "top": 0, "width": 720}, "width": 768, "height": 566, "rate": "50/1"},
    **{"pixel_format": "yuv420p", "filters": ["bwdif"], "commands": ["ffmpeg"], "likeness": [0.98, 1.0]},
    "colour": {"matrix": "bt470bg", "primaries": "bt470bg", "range": "tv", "transfer": "bt470bg"},
    "codec_private_sha256": "0" * 64,
}


def test_an_old_record_is_read_and_written_as_it_was():
    record = ClipRecord.from_plain(OLD_CLIP)
    assert (record.cut_with, record.networks, record.programs) == (None, (), {})
    assert record.to_plain() == OLD_CLIP


def test_fields_of_a_newer_version_are_kept():
    newer = {**OLD_CLIP, "sharpness": 0.7, "crop": {**OLD_CLIP["crop"], "rotated": True}}
    record = ClipRecord.from_plain(newer)
    assert record.unknown == {"sharpness": 0.7}
    assert record.to_plain() == {**OLD_CLIP, "sharpness": 0.7}


def test_a_record_without_a_field_is_damaged_and_its_field_is_logged(tmp_path, caplog):
    path = tmp_path / "enhanced" / "0000000.json"
    path.parent.mkdir()
    path.write_text(json.dumps({key: value for key, value in OLD_CLIP.items() if key != "frames_in"}))
    assert job_records.clip_record(tmp_path, "0000000") is None
    assert f"{path}: this record is damaged: frames_in is missing" in caplog.text


def test_warnings_of_a_clip():
    lowered = network_run(model="big", lowered=(Rejection("whole frames", 2, 1, "too large"),))
    record = clip_record(
        kept_original=Failure("GateError", "black"), stands_in="5 of 9", networks=(lowered, network_run())
    )
    assert list(record.warnings("0000050")) == [
        JobWarning("kept", "GateError: black", "0000050"),
        JobWarning("stands_in", "5 of 9", "0000050"),
        JobWarning("lowered", "big ran on smaller tiles or fewer frames", "0000050"),
    ]


def test_warnings_of_subtitles():
    record = SubtitleRecord(left_empty=Failure("SceneError", "no sound"), lowered=AsrDowngrade("tiny", "4" * 64, 1, ()))
    assert list(record.warnings()) == [
        JobWarning("empty", "SceneError: no sound"),
        JobWarning("lowered", "transcribed with tiny, beam of 1"),
    ]


@pytest.mark.parametrize(
    ("name", "record"),
    [
        ("clip", clip_record(networks=(network_run(),), filters_after=("scale",), stands_in="1 of 2")),
        ("subtitles", SubtitleRecord("5" * 64, None, asr_inputs(), heard(), (RemovedSegment(0, 9, "a", "b"),))),
        ("subtitles", SubtitleRecord(left_empty=Failure("SceneError", "no sound"))),
    ],
)
def test_what_is_written_obeys_the_schema(tmp_path, name, record):
    path = tmp_path / "record.json"
    write_record(path, record)
    jsonschema.Draft202012Validator(schema(name)).validate(json.loads(path.read_text()))
