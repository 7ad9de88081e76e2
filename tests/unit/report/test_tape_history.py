"""What the records of a tape's scenes say that is not as asked, and what it was made with."""

import json

import av
import numpy as np
import pytest

from tapemill.report.tape_history import deviations
from tapemill.report.tape_metadata import build_info, read_tape_metadata


def write(folder, kind, scene, **values):
    (folder / kind).mkdir(exist_ok=True)
    (folder / kind / f"{scene}.json").write_text(json.dumps(values))


def test_each_scene_that_came_out_otherwise_with_its_reason(tmp_path):
    write(tmp_path, "enhanced", "0000000", kept_original={"error": "GateError", "message": "black"}, stands_in="5 of 9")
    write(tmp_path, "enhanced", "0000050", networks=[{"model": "big", "lowered": {"tile": 64}}, {"model": "small"}])
    write(tmp_path, "subtitles", "0000050", left_empty={"error": "SceneError", "message": "no sound"})
    write(tmp_path, "translated", "0000100", lowered={"model": "tiny", "beam_size": 1})
    found = [(each.scene, each.kind, each.reason) for each in deviations(tmp_path, ["0000000", "0000050", "0000100"])]
    assert found == [
        ("0000000", "kept", "GateError: black"),
        ("0000000", "stands_in", "5 of 9"),
        ("0000050", "lowered", "big saw smaller tiles or fewer frames"),
        ("0000050", "empty", "SceneError: no sound"),
        ("0000100", "lowered", "heard with tiny, beam of 1"),
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
    document = {
        "how": {
            "capture": {"files": [{"sha256": "c" * 64}]},
            "models": [{"used_for": "words", "name": "small", "sha256": "d" * 64}],
            "programs": {"picture": {"ffmpeg": ["9.0", "9.1"], "av": ["18.1.0"]}},
            "tapemill": {"version": "0.1.0", "code_sha256": "e" * 64, "recipes": {"tape": 1}},
        },
        "results": [{"kind": "mkv", "sha256": "b" * 64}],
        "run": {
            "checkout": {"commit": "f" * 40, "changed": ["Snakefile"]},
            "machine": {"processor": "P", "architecture": "x86_64", "system": "Linux"},
        },
    }
    path = tmp_path / "provenance.json"
    path.write_text(json.dumps(document))
    rows = dict(build_info(None, path))
    assert rows["mkv, SHA-256"] == "b" * 64
    assert rows["capture, SHA-256"] == "c" * 64
    assert rows["model for words"] == f"small {'d' * 64}"
    assert rows["picture"] == "av 18.1.0, ffmpeg 9.0 and 9.1"
    assert rows["commit"] == f"{'f' * 40}, and 1 changed files"
    assert rows["machine"] == "P, x86_64, Linux"
    path.write_text("{}")
    assert build_info(None, path) == []
