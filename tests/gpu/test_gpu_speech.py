"""Speech recognition on a real GPU says what it says on the CPU."""

import json
from dataclasses import asdict, replace

import pytest

from tests.support.media import speech

CODE = """
from fractions import Fraction
from pathlib import Path
from tapemill.storage.fingerprint import sha256
from tapemill.models import ModelFile
from tapemill.subtitles import SubtitlesSettings, transcribe_scene
folder, model, settings = Path(sys.argv[2]), Path(sys.argv[3]), json.loads(sys.argv[4])
target = folder / device.kind
transcribe_scene(
    audio=folder / "scene.wav",
    model=ModelFile(model, sha256(model)),
    srt=target.with_suffix(".srt"),
    record=target.with_suffix(".json"),
    language="en",
    frames=150,
    rate=Fraction(25),
    settings=SubtitlesSettings(**settings),
    recipe=1,
    device=device,
)
tell("done")
"""
ON_CPU = "import json, sys\nfrom tapemill.devices.device import CPU as device\n"


@pytest.mark.parametrize("words", [False, True], ids=["cues", "word times"])
def test_the_gpu_hears_what_the_cpu_hears(tmp_path, gpu, on_gpu, words):
    settings = replace(speech.SETTINGS, word_timestamps=words)
    speech.write_wav(tmp_path / "scene.wav", speech.recording())
    arguments = (str(tmp_path), str(speech.MODEL), json.dumps(asdict(settings)))
    on_gpu(CODE, *arguments)
    on_gpu(CODE, *arguments, opened=ON_CPU)
    heard, expected = (json.loads((tmp_path / f"{kind}.json").read_text())["heard"] for kind in (gpu.kind, "cpu"))
    assert [part["text"] for part in heard["segments"]] == [part["text"] for part in expected["segments"]]
    assert " ".join(speech.SENTENCES).split() == " ".join(part["text"] for part in heard["segments"]).split()
    if not words:
        assert (tmp_path / f"{gpu.kind}.srt").read_text() == (tmp_path / "cpu.srt").read_text()
        return
    # Attention in half precision may move the border of a word by a step or two of the model, 20 ms each.
    for part, wanted in zip(heard["segments"], expected["segments"], strict=True):
        assert part["start_ms"] == pytest.approx(wanted["start_ms"], abs=100)
        assert part["stop_ms"] == pytest.approx(wanted["stop_ms"], abs=100)
