"""A recognition and networks through Intel's extension for PyTorch on the CPU, against the same steps without it.

`make test-ipex` runs them in the environment of the extension; in another one they are skipped.
"""

import json
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tapemill.devices import ipex
from tapemill.devices.device import CPU
from tapemill.devices.model_cache import clear
from tapemill.enhance import enhance_scene
from tapemill.models import ModelFile
from tapemill.storage.fingerprint import sha256
from tapemill.subtitles import transcribe_scene
from tests.support.media import speech
from tests.support.media.clips import LOSSLESS, clip_from, facts_of, samples
from tests.support.networks import compact, network, steps, vrt

MOVING = "testsrc=size=96x64:rate=25,scroll=horizontal=0.01,format=yuv420p"
FRAMES = 7
NETWORKS = ("frame", "vrt")


class Steps:
    """The three steps, each in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def recognise(self) -> dict[str, Any]:
        """Return the record of a recognition."""
        speech.write_wav(self.folder / "scene.wav", speech.recording())
        record = self.folder / "scene.json"
        transcribe_scene(
            audio=self.folder / "scene.wav",
            model=ModelFile(speech.MODEL, sha256(speech.MODEL)),
            srt=self.folder / "scene.srt",
            record=record,
            language="en",
            frames=150,
            rate=Fraction(25),
            settings=speech.SETTINGS,
            recipe=1,
            device=CPU,
        )
        return json.loads(record.read_text())

    def enhance(self, kind: str) -> tuple[Any, dict[str, Any]]:
        """Return samples and record of a scene that went through a network."""
        clip = clip_from(self.folder / f"{kind}.cut.mkv", MOVING, frames=FRAMES)
        weights = {"frame": lambda path: compact(path, gain=0.3), "vrt": vrt}[kind](self.folder / f"{kind}.pth")
        target, record = self.folder / f"{kind}.mkv", self.folder / f"{kind}.json"
        enhance_scene(
            clip=clip,
            target=target,
            record=record,
            picture=facts_of(clip),
            frames=FRAMES,
            settings=replace(LOSSLESS, chain=steps(network(weights, kind=kind), "resize")),
            device=CPU,
        )
        return samples(target, "yuv420p").astype(int), json.loads(record.read_text())


@pytest.fixture(scope="module", autouse=True)
def extension(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Version of the extension. Its kernels replace torch's once it is imported."""
    found = ipex.extension_version().get(ipex.PACKAGE)
    if found is None:
        (pytest.fail if os.environ.get("TAPEMILL_EXPECT_IPEX") else pytest.skip)("no extension for this torch")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield found
    clear()


@pytest.fixture(scope="module")
def expected(extension: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Results of all steps without the extension."""
    step = Steps(tmp_path_factory.mktemp("without") / "steps")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ipex, "installed_versions", lambda: None)
        results = {"speech": step.recognise(), **{kind: step.enhance(kind) for kind in NETWORKS}}
    assert ipex.PACKAGE not in sys.modules
    clear()
    return results


@pytest.fixture
def optimised(caplog: pytest.LogCaptureFixture, extension: str) -> Callable[[], int]:
    """Check that the extension has replaced layers since the test began, and return their number."""
    caplog.set_level(logging.INFO)

    def check() -> int:
        assert "continuing without it" not in caplog.text
        (number,) = re.findall(rf"(\d+) layers optimised by {ipex.PACKAGE} {re.escape(extension)}", caplog.text)
        assert int(number) > 0
        return int(number)

    return check


def test_speech_is_recognised_as_without_the_extension(
    tmp_path: Path, expected: dict[str, Any], optimised: Callable[[], int], extension: str
) -> None:
    record = Steps(tmp_path / "steps").recognise()
    # Two layers in each direction, with 6 and 10 linear layers.
    assert optimised() == 2 * 6 + 2 * 10
    assert record["made_from"]["versions"][ipex.PACKAGE] == extension
    assert ipex.PACKAGE not in expected["speech"]["made_from"]["versions"]
    heard, wanted = (each["heard"]["segments"] for each in (record, expected["speech"]))
    assert " ".join(segment["text"] for segment in heard).split() == " ".join(speech.SENTENCES).split()
    for segment, other in zip(heard, wanted, strict=True):
        assert segment["text"] == other["text"]
        for edge in ("start_ms", "stop_ms"):
            assert segment[edge] == pytest.approx(other[edge], abs=40)
        assert segment["avg_logprob"] == pytest.approx(other["avg_logprob"], abs=0.001)


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_network_restores_as_without_the_extension(
    tmp_path: Path, expected: dict[str, Any], optimised: Callable[[], int], extension: str, kind: str
) -> None:
    clip, record = Steps(tmp_path / "steps").enhance(kind)
    assert optimised() >= 4
    assert record["programs"][ipex.PACKAGE] == extension
    wanted, without = expected[kind]
    assert ipex.PACKAGE not in without["programs"]
    assert np.abs(clip - wanted).max() <= 1
    assert "kept_original" not in record
