"""Parts of a provenance from the records of scenes."""

import hashlib
import json
from pathlib import Path

import jsonschema
import pytest

from tapemill.config.schema import schema
from tapemill.core.result_paths import TapePaths
from tapemill.core.rule_catalog import scene_rules
from tapemill.media.ffmpeg.version import package_version
from tapemill.models import ModelFile
from tapemill.provenance.model import JobRun, SceneJobs
from tapemill.provenance.scene_records import scene_how, seeds, used_models
from tapemill.records.clip import CutRecord
from tapemill.records.common import Failure
from tapemill.records.subtitles import AsrDowngrade, SubtitleRecord
from tapemill.storage.typed_json import to_plain
from tests.support.records import asr_inputs, clip_record, heard, network_run, write_record

SPEECH = ModelFile(Path("resources/models/small.pt"), "3" * 64)
SCENE = "0000050"


@pytest.fixture
def tape(tmp_path):
    """Folder of a tape with one scene: a network, subtitles corrected by hand, a translation by a smaller model."""
    paths = TapePaths(tmp_path)
    cut = CutRecord("ffmpeg -i file:{capture} file:{cut}", "9.0")
    clip = clip_record(
        cut_with=cut, networks=(network_run(model="resources/models/mine.pt", seed=7),), programs={"ffmpeg": "9.0"}
    )
    write_record(paths.clip_record(SCENE), clip)
    inputs = asr_inputs(versions={"silero-vad": package_version("silero-vad")})
    corrected = SubtitleRecord(made_from=inputs, heard=heard(), srt_sha256="0" * 64)
    smaller = AsrDowngrade("tiny", "4" * 64, 1, ())
    translation = SubtitleRecord(made_from=inputs, lowered=smaller, srt_sha256=hashlib.sha256(b"b").hexdigest())
    for translated, record, text in ((False, corrected, "a"), (True, translation, "b")):
        write_record(paths.subtitle_record(SCENE, translated=translated), record)
        paths.subtitles(SCENE, translated=translated).write_text(text)
    return tmp_path


def definition(name):
    """Schema of a part of a provenance."""
    return {"$ref": f"#/$defs/{name}", "$defs": schema("provenance")["$defs"]}


def test_a_scene_has_its_records_without_programs_and_paths(tape):
    scene = scene_how(tape, SCENE, (50, 100))
    assert (scene.start_frame, scene.stop_frame) == (50, 100)
    assert (scene.enhance.programs, scene.enhance.cut_with.ffmpeg) == ({}, "")
    assert [network.model for network in scene.enhance.networks] == ["mine.pt"]
    assert scene.subtitles.corrected_by_hand
    assert not scene.translation.corrected_by_hand
    assert scene.translation.lowered.model == "tiny"
    assert seeds({"subtitles": {"seed": 3}}, [scene]).enhance == (7,)


def test_a_scene_with_a_translation_obeys_the_schema(tape):
    jsonschema.validate(json.loads(json.dumps(to_plain(scene_how(tape, SCENE, (50, 100))))), definition("SceneHow"))
    job = JobRun("2026-01-01T10:00:00.000+00:00", (0.0, 1.0), 1)
    jobs = SceneJobs(SCENE, dict.fromkeys(scene_rules(), job))
    assert "translate_scene" in jobs.jobs
    jsonschema.validate(to_plain(jobs), definition("SceneJobs"))


def test_every_model_is_named_once(tape):
    used = {(model.used_for, model.name) for model in used_models(tape, [SCENE], SPEECH)}
    assert used == {
        ("enhance", "mine.pt"),
        ("speech detection", "silero_vad.jit"),
        ("subtitles", "small"),
        ("subtitles", "tiny"),
    }


def test_without_records_nothing_is_known(tmp_path):
    scene = scene_how(tmp_path, SCENE, (50, 100))
    assert (scene.enhance, scene.subtitles, scene.translation) == (None, None, None)
    assert used_models(tmp_path, [SCENE], SPEECH) == ()


def test_subtitles_left_empty_have_a_reason(tmp_path):
    paths = TapePaths(tmp_path)
    write_record(paths.subtitle_record(SCENE), SubtitleRecord(left_empty=Failure("SceneError", "no sound")))
    paths.subtitles(SCENE).write_text("")
    assert scene_how(tmp_path, SCENE, (50, 100)).subtitles.left_empty.message == "no sound"
