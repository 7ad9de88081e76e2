"""How a tape was made is written down: complete, valid, without people, and the same for the same work."""

import copy as copying
import hashlib
import json
import re
import shutil
import socket
import stat
from datetime import datetime
from pathlib import Path

import jsonschema
import pytest

from tapemill.config.schema import schema
from tapemill.media.ffmpeg import runner as ffmpeg
from tapemill.verification.cleanup import clean_tape
from tests.support.project import DEMO_MODEL, Project, digest, same

SCENES = ["0000000", "0000050", "0000100", "0000150"]
JOBS = {"cut_scene", "extract_audio", "transcribe_scene", "enhance_scene"}
OUTPUTS = ("provenance.json", "ro-crate-metadata.json", "Snakefile")
# The real ffmpeg, but it says that it is another.
OTHER = """#!/bin/sh
for word in "$@"; do
  if [ "$word" = -version ]; then "{ffmpeg}" "$@" | sed 's/^ffmpeg version .*/ffmpeg version 1.2.3-other/'; exit; fi
done
exec "{ffmpeg}" "$@"
"""


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def provenance(project):
    document = json.loads(project.path("results/T01/provenance.json").read_text())
    jsonschema.Draft202012Validator(schema("provenance")).validate(document)
    return document


def crate(project):
    metadata = json.loads(project.path("results/T01/ro-crate-metadata.json").read_text())
    return metadata, {entity["@id"]: entity for entity in metadata["@graph"]}


def another_ffmpeg(folder):
    path = folder / "other-ffmpeg"
    path.write_text(OTHER.format(ffmpeg=ffmpeg.binary()))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_it_says_what_went_in_and_what_came_out(finished):
    document = provenance(finished)
    how, results = document["how"], finished.path("results/T01")
    (capture,) = how["capture"]["files"]
    assert capture["sha256"] == sha256(finished.path("captures/T01.mkv"))
    assert document["tags"]["capture"] == capture["fingerprint"]
    assert {result["kind"]: result["sha256"] for result in document["results"]} == {
        kind: sha256(results / f"T01.{kind}") for kind in ("mkv", "srt", "vtt")
    }
    assert how["sheet"]["title"] == "Counting"
    assert how["settings"]["enhance"]["preset"] == "fast"
    assert how["settings"]["subtitles"]["model"] == Path(DEMO_MODEL).name
    models = {model["name"]: model for model in how["models"]}
    assert models["demo-en"]["sha256"] == sha256(finished.path(DEMO_MODEL))
    assert models["silero_vad.jit"]["used_for"] == "speech detection"
    assert how["programs"].keys() == {"scenes", "enhance", "subtitles", "audio", "tape"}
    assert how["programs"]["scenes"]["ffmpeg"] == how["programs"]["enhance"]["ffmpeg"]
    assert how["programs"]["subtitles"]["openai-whisper"]
    assert document["run"]["environment"]["ffmpeg"]["id"] in how["programs"]["enhance"]["ffmpeg"]
    assert "--enable-libx264" in document["run"]["environment"]["ffmpeg"]["configuration"]


def test_it_says_how_each_scene_was_made_and_by_whom(finished):
    document = provenance(finished)
    scenes = document["how"]["scenes"]
    assert [scene["scene"] for scene in scenes] == SCENES
    for scene in scenes:
        (command,) = scene["enhance"]["commands"]
        assert command.startswith("ffmpeg ")
        assert "file:{cut}" in command
        assert command.endswith("-f matroska file:{clip}")
        assert ",".join(scene["enhance"]["filters"])[:40] in command
        assert "-i file:{capture}" in scene["enhance"]["cut_with"]["command"]
        srt = finished.path(f"results/T01/subtitles/{scene['scene']}.srt")
        assert scene["subtitles"]["srt_sha256"] == sha256(srt)
        assert not scene["subtitles"]["corrected_by_hand"]
    assert [scene["start_frame"] for scene in scenes] == [int(name) for name in SCENES]
    run = document["run"]
    for scene in run["scenes"]:
        assert scene["jobs"].keys() == JOBS
        for job in scene["jobs"].values():
            assert job["attempts"] == 1
            started = datetime.fromisoformat(job["run_started"])
            since_s = [(datetime.fromisoformat(run[edge]) - started).total_seconds() for edge in ("started", "ended")]
            assert since_s[0] <= job["span_s"][0] < job["span_s"][1] <= since_s[1]
    assert {"probe_capture", "hash_capture", "clean_sound", "mux_tape"} <= run["jobs"].keys()


def test_a_scene_is_one_line_of_the_file(finished):
    text = finished.path("results/T01/provenance.json").read_text()
    how, run = (line.strip().rstrip(",") for line in text.splitlines() if '{"scene":"0000050",' in line)
    document = provenance(finished)
    assert json.loads(how) == document["how"]["scenes"][1]
    assert json.loads(run) == document["run"]["scenes"][1]
    assert "trim=start_pts=50:end_pts=100" in how


def test_it_names_no_person_no_machine_and_no_folder_elsewhere(finished):
    for name in OUTPUTS:
        text = finished.path(f"results/T01/{name}").read_text()
        for private in (str(finished.folder), f"{Path.home()}/", "/tmp/"):
            assert private not in text, f"{private} in {name}"
        assert not re.search(rf"\b{re.escape(socket.gethostname())}\b", text)


def test_the_crate_obeys_what_the_profile_demands(finished):
    """The MUSTs of RO-Crate 1.1, Workflow RO-Crate 1.0, Process and Workflow Run Crate 0.5."""
    metadata, entities = crate(finished)
    assert metadata["@context"][0] == "https://w3id.org/ro/crate/1.1/context"
    assert len(entities) == len(metadata["@graph"])
    descriptor, root = entities["ro-crate-metadata.json"], entities["./"]
    assert descriptor["@type"] == "CreativeWork"
    assert descriptor["about"] == {"@id": "./"}
    assert {"@id": "https://w3id.org/ro/crate/1.1"} in descriptor["conformsTo"]
    assert root["@type"] == "Dataset"
    assert all(root[key] for key in ("name", "description", "datePublished", "license"))
    profiles = {reference["@id"] for reference in root["conformsTo"]}
    assert {"https://w3id.org/ro/wfrun/process/0.5", "https://w3id.org/ro/wfrun/workflow/0.5"} <= profiles
    assert all(entities[profile]["@type"] == "CreativeWork" for profile in profiles)
    workflow = entities[root["mainEntity"]["@id"]]
    assert set(workflow["@type"]) == {"File", "SoftwareSourceCode", "ComputationalWorkflow"}
    assert entities[workflow["programmingLanguage"]["@id"]]["@type"] == "ComputerLanguage"
    (action,) = [entity for entity in entities.values() if entity["@type"] == "CreateAction"]
    assert action["instrument"] == root["mainEntity"]
    assert root["mentions"] == {"@id": action["@id"]}
    parts = [reference["@id"] for reference in root["hasPart"]]
    files = [id for id, entity in entities.items() if "File" in entity["@type"] and not id.startswith("#")]
    assert sorted(parts) == sorted(files)
    for part in parts:
        assert finished.path(f"results/T01/{part}").is_file(), part
    assert [entities[each["@id"]]["sha256"] for each in action["result"]] == [
        sha256(finished.path(f"results/T01/T01.{kind}")) for kind in ("mkv", "srt", "vtt")
    ]
    assert entities["#capture-1"]["sha256"] == sha256(finished.path("captures/T01.mkv"))
    for entity in entities.values():
        for value in entity.values():
            for reference in value if isinstance(value, list) else [value]:
                if isinstance(reference, dict) and not reference["@id"].startswith("http"):
                    assert reference["@id"] in entities, reference


def test_the_crates_library_reads_it_back(finished):
    from rocrate.rocrate import ROCrate

    read = ROCrate(finished.path("results/T01"))
    assert read.mainEntity.id == "Snakefile"
    assert {entity.id for entity in read.data_entities} >= {"T01.mkv", "T01.srt", "T01.vtt", "provenance.json"}


def test_a_missing_provenance_is_written_and_nothing_else_made(copy, finished):
    """As for a tape that was finished before there was one: nothing about it is known but what lies there."""
    clean_tape(copy.path("results/T01"), "mkv")
    assert not copy.path("results/T01/sound.mka").exists()
    for name in (*OUTPUTS, "capture_sha256.json"):
        copy.path(f"results/T01/{name}").unlink()
    assert dict(copy.make("all").jobs) == {"hash_capture": 1, "write_provenance": 1}
    for name in OUTPUTS:
        assert digest(copy.path(f"results/T01/{name}")) == digest(finished.path(f"results/T01/{name}"))
    assert provenance(copy)["run"]["scenes"] == provenance(finished)["run"]["scenes"]
    copy.path("events").joinpath("grown.jsonl").write_text("{}\n")
    assert not copy.make("all").jobs


def test_without_events_all_but_times_is_known(copy, finished):
    shutil.rmtree(copy.path("events"))
    copy.path("results/T01/provenance.json").unlink()
    assert dict(copy.make("all").jobs) == {"write_provenance": 1}
    document = provenance(copy)
    assert document["how"] == provenance(finished)["how"]
    assert not any(scene["jobs"] for scene in document["run"]["scenes"])
    assert document["run"]["ended"]


@pytest.mark.long
def test_scenes_of_an_earlier_run_keep_their_run(finished, tmp_path):
    project = Project(tmp_path / "project")
    project.folder.joinpath("captures").symlink_to(finished.path("captures"))
    project.path("config/tapes.tsv").write_bytes(finished.path("config/tapes.tsv").read_bytes())
    for name in ("capture.json", "recipe.json", "scenes.tsv", "scenes.edl", "scenes.csv"):
        (project.path("results/T01")).mkdir(parents=True, exist_ok=True)
        shutil.copy2(finished.path(f"results/T01/{name}"), project.path(f"results/T01/{name}"))
    shutil.copytree(finished.path(".snakemake/metadata"), project.path(".snakemake/metadata"))
    project.make("results/T01/enhanced/0000050.mkv")
    project.make("all")
    scenes = provenance(project)["run"]["scenes"]
    starts = {scene["scene"]: scene["jobs"]["enhance_scene"]["run_started"] for scene in scenes}
    assert starts["0000050"] < starts["0000000"] == starts["0000100"] == starts["0000150"]
    assert provenance(project)["how"] == provenance(finished)["how"]


def test_another_setting_is_named(copy, finished):
    copy.configure(tape={"chapter_shortest_s": 3})
    copy.make("all")
    said = same(copy.path("results/T01"), finished.path("results/T01"), exit_code=1)
    assert "not made in the same way. a | b:\n  settings.tape.chapter_shortest_s: 3 | 60\n" in said
    # Of the files alone less is known.
    for project, name in ((copy, "a.mkv"), (finished, "b.mkv")):
        shutil.copy(project.path("results/T01/T01.mkv"), copy.path(name))
    said = same(copy.path("a.mkv"), copy.path("b.mkv"), exit_code=1)
    assert "according to the tags of the files" in said
    assert "  settings.tape: " in said
    same(copy.path("a.mkv"), copy.path("a.mkv"), exit_code=0)


@pytest.mark.long
def test_another_ffmpeg_is_named_with_its_scene(copy, finished):
    copy.configure(ffmpeg=another_ffmpeg(copy.folder))
    for name in ("T01.mkv", "enhanced/0000100.mkv"):
        copy.path(f"results/T01/{name}").unlink()
    copy.make("all")
    document = provenance(copy)
    assert len(document["how"]["programs"]["scenes"]["ffmpeg"]) == 2
    ids = document["how"]["programs"]["enhance"]["ffmpeg"]
    assert ids[0].startswith("1.2.3-other (")
    said = same(copy.path("results/T01"), finished.path("results/T01"), exit_code=1)
    assert "  programs.enhance.ffmpeg: 1.2.3-other (" in said
    # The pictures are the same, and so is all that the other scenes say.
    assert "enhance.commands" not in said


@pytest.mark.long
def test_a_corrected_subtitle_is_a_difference_of_its_scene(copy, finished):
    srt = copy.path("results/T01/subtitles/0000050.srt")
    srt.write_text("1\n00:00:00,200 --> 00:00:01,500\nWhat she really said\n\n")
    copy.make("all")
    assert [scene["subtitles"]["corrected_by_hand"] for scene in provenance(copy)["how"]["scenes"]].count(True) == 1
    said = same(copy.path("results/T01"), finished.path("results/T01"), exit_code=1)
    assert "  subtitles.corrected_by_hand (scene 0000050): true | false\n" in said


def test_another_model_code_and_capture_are_named(copy, finished):
    """What would take hours to make differently: the documents are changed instead."""
    document = provenance(finished)

    def compared(change):
        changed = copying.deepcopy(document)
        change(changed)
        copy.path("other").mkdir(exist_ok=True)
        path = copy.path("other/provenance.json")
        path.write_text(json.dumps(changed))
        jsonschema.Draft202012Validator(schema("provenance")).validate(changed)
        return path

    def model(changed):
        changed["how"]["models"][-1] |= {"name": "small", "sha256": "0" * 64}

    def code(changed):
        changed["how"]["tapemill"]["code_sha256"] = "1" * 64

    def capture(changed):
        changed["how"]["capture"]["files"][0]["sha256"] = "2" * 64
        changed["how"]["scenes"] = []

    whole = finished.path("results/T01/provenance.json")
    assert "models 2.name: demo-en | small" in same(whole, compared(model), exit_code=1)
    assert "without effect on the files (tapemill.code_sha256" in same(whole, compared(code), exit_code=0)
    said = same(whole, compared(capture), exit_code=1)
    assert f"  capture: sha-256 {document['how']['capture']['files'][0]['sha256'][:16]}" in said
    assert "single scenes were not compared" in said


@pytest.mark.parametrize("content", [None, "{}", "[]", "no JSON"])
def test_what_says_nothing_is_no_answer(copy, content):
    path = copy.path("other.json")
    if content is not None:
        path.write_text(content)
    said = same(path, copy.path("results/T01"), exit_code=2)
    assert "what to do" in said
    assert "traceback" not in said


def test_a_file_that_is_no_tape_of_ours_is_no_answer(copy):
    assert "has no record of how it was made" in same(
        copy.path("captures/T01.mkv"), copy.path("results/T01"), exit_code=2
    )


@pytest.mark.long
def test_a_capture_at_another_place_keeps_its_record_and_its_folder_stays_unknown(copy, finished, tmp_path):
    record = copy.path("results/T01/capture_sha256.json")
    known = record.read_bytes()
    copy.path("captures/T01.mkv").rename(tmp_path / "anna's tape.mkv")
    row = {"tape": "T01", "language": "en", "title": "Counting", "field_order": "tff"}
    copy.sheet({**row, "source": str(tmp_path / "anna's tape.mkv")})
    assert dict(copy.make("all").jobs) == {"check_capture": 1}
    copy.path("results/T01/provenance.json").unlink()
    jobs = copy.make("all").jobs
    assert (jobs["write_provenance"], jobs["hash_capture"]) == (1, 0)
    assert record.read_bytes() == known
    document = provenance(copy)
    assert document["places"]["source"] == "anna's tape.mkv"
    for name in OUTPUTS:
        assert str(tmp_path) not in copy.path(f"results/T01/{name}").read_text()
    assert document["how"]["scenes"] == provenance(finished)["how"]["scenes"]
    assert document["results"] == provenance(finished)["results"]


def test_two_ids_are_enough_in_the_working_folder(finished, monkeypatch):
    monkeypatch.chdir(finished.folder)
    assert "made in the same way" in same(Path("T01"), Path("T01"), exit_code=0)
    assert "there is no tape 't02'" in same(Path("T01"), Path("T02"), exit_code=2)
