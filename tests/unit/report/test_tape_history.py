"""What the records of a tape's scenes say that is not as asked, and what it was made with."""

from dataclasses import replace

import av
import numpy as np
import pytest

from tapemill.provenance.model import CaptureFile, Checkout, Machine, ResultFile, SceneHow, UsedModel
from tapemill.records.clip import FilmRecord
from tapemill.records.common import Failure, Rejection
from tapemill.records.subtitles import AsrDowngrade, SubtitleRecord
from tapemill.report.tape_history import deviations
from tapemill.report.tape_metadata import build_info, read_tape_metadata
from tests.support.records import clip_record, network_run, provenance, write_record


def test_each_scene_that_came_out_otherwise_with_its_reason(tmp_path):
    kept = clip_record(kept_original=Failure("GateError", "black"), stands_in="5 of 9")
    big = network_run(model="big", lowered=(Rejection("whole frames", 2, 1, "too large"),))
    for name, record in {
        "enhanced/0000000": kept,
        "enhanced/0000050": clip_record(networks=(big, network_run(model="small"))),
        "subtitles/0000050": SubtitleRecord(left_empty=Failure("SceneError", "no sound")),
        "translated/0000100": SubtitleRecord(lowered=AsrDowngrade("tiny", "4" * 64, 1, ())),
    }.items():
        write_record(tmp_path / f"{name}.json", record)
    found = [(each.scene, each.kind, each.reason) for each in deviations(tmp_path, ["0000000", "0000050", "0000100"])]
    assert found == [
        ("0000000", "kept", "GateError: black"),
        ("0000000", "stands_in", "5 of 9"),
        ("0000050", "lowered", "big ran on smaller tiles or fewer frames"),
        ("0000050", "empty", "SceneError: no sound"),
        ("0000100", "lowered", "transcribed with tiny, beam of 1"),
    ]
    # Somebody wrote what could not be heard.
    (tmp_path / "subtitles" / "0000050.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nHello\n\n")
    assert "empty" not in {each.kind for each in deviations(tmp_path, ["0000050"])}


@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_a_tape_says_what_it_was_made_with_in_either_container(tmp_path, suffix):
    path = tmp_path / f"T.{suffix}"
    facts = {"TAPEMILL_CAPTURE": "12-ab", "TAPEMILL_SPEECH_MODEL": "small"}
    with av.open(str(path), "w") as container:
        tags = facts if suffix == "mkv" else {"comment": "\n".join(f"{name}={value}" for name, value in facts.items())}
        container.metadata.update({"title": "Our <garden>", **tags})
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")))
        container.mux(stream.encode())
    found = read_tape_metadata(path)
    assert (found.title, found.width) == ("Our <garden>", 64)
    assert build_info(found, None) == [("capture", "12-ab"), ("speech model", "small")]


def test_provenance_says_it_better(tmp_path):
    document = provenance()
    how = replace(
        document.how,
        capture=replace(document.how.capture, files=(CaptureFile(1, "1-a", "c" * 64),)),
        models=(UsedModel("subtitles", "small", "d" * 64),),
        programs={"enhance": {"ffmpeg": ("9.0", "9.1"), "av": ("18.1.0",)}},
    )
    run = replace(
        document.run, checkout=Checkout("f" * 40, ("Snakefile",)), machine=Machine("Linux", "x86_64", "P", ())
    )
    path = tmp_path / "provenance.json"
    write_record(path, replace(document, how=how, results=(ResultFile("mkv", 1, "b" * 64),), run=run))
    rows = dict(build_info(None, path))
    assert rows["mkv, SHA-256"] == "b" * 64
    assert rows["capture, SHA-256"] == "c" * 64
    assert rows["model for subtitles"] == f"small {'d' * 64}"
    assert rows["enhance"] == "av 18.1.0, ffmpeg 9.0 and 9.1"
    assert rows["commit"] == f"{'f' * 40}, and 1 changed files"
    assert rows["machine"] == "P, x86_64, Linux"


@pytest.mark.parametrize(
    ("films", "text"),
    [
        ([None, None], None),
        (
            [FilmRecord("3:2", 0.95, 100, 2), None],
            "in 1 of 2 scenes, whose fields are woven; the tape keeps its rate",
        ),
        (
            [FilmRecord("3:2", 0.99, 100, 0, True), FilmRecord("3:2", 0.99, 100, 0, True, dropped=1)],
            "the whole tape, 3:2 (confidence 0.99): each film frame is shown once, 1 dropped and 0 repeated where the"
            " video was edited",
        ),
        (
            [FilmRecord("2:2", None, 100, 0, True)] * 2,
            "the whole tape, 2:2 (by the sheet): each film frame is shown once",
        ),
    ],
    ids=["none", "scene", "tape", "sheet"],
)
def test_the_page_names_film_and_the_reason(tmp_path, films, text):
    document = provenance()
    scenes = tuple(
        SceneHow(f"{start:07d}", start, start + 50, clip_record(film=film), None)
        for start, film in zip((0, 50), films, strict=True)
    )
    path = tmp_path / "provenance.json"
    write_record(path, replace(document, how=replace(document.how, scenes=scenes)))
    assert dict(build_info(None, path)).get("film") == text
