from fractions import Fraction
from types import SimpleNamespace

import pytest

from tapemill.config.schema import load_config
from tapemill.config.tape_sheet import TapeRow
from tapemill.core.timing import FrameRange
from tapemill.enhance import SceneSettings
from tapemill.media.capture_info import AudioTrackInfo, Capture, SourceFileInfo, VideoInfo
from tapemill.media.colour import Colour
from tapemill.planning import ClusterResources
from tapemill.scenes import Scene
from tapemill.scenes.table import write_scenes
from tapemill.storage.atomic import write_json
from tapemill.workflow.job_params import JobParams
from tapemill.workflow.tape import TapeState

PICTURE = VideoInfo(
    720, 576, "yuv422p", 8, Fraction(16, 15), Fraction(25), "tff", Colour("bt470bg", "bt470bg", "bt470bg", "tv")
)
SHORT, LONG = "0000000", "0000050"


@pytest.fixture
def asked(tmp_path):
    """What a job of a tape asks for: MB and minutes. The tape has a scene of 2 s and one of 30 s."""
    source, model = tmp_path / "tape.mkv", tmp_path / "small.pt"
    source.write_bytes(b"tape")
    with model.open("wb") as stream:
        stream.truncate(500_000_000)
    table = tmp_path / "scenes.tsv"
    spans = {SHORT: FrameRange(0, 50), LONG: FrameRange(50, 800)}
    write_scenes([Scene(id, span, PICTURE.rate) for id, span in spans.items()], table)
    lookup = TapeState(TapeRow("T", source, "T", "", "en", "auto", "auto"), tmp_path / "results")

    def ask(rule, scene=None, *, attempt=1, hours=1.0, enhance=None, known=True):
        if known:
            frames = int(hours * 90_000)
            taken = SourceFileInfo(Fraction(25), 0, Fraction(1, 1000), frames, frames, 0, 0, False, "a.mkv", 0)
            sounds = (AudioTrackInfo(2, "pcm_s16le", 48_000, 2, "", ""),)
            capture = Capture(kind="file", takes=(taken,), picture=PICTURE, sounds=sounds, notes={})
            write_json(lookup.paths.capture_record, capture.to_plain())
        config = load_config({"enhance": enhance or {}})
        settings = SceneSettings.planned({**config["enhance"], "overrides": ""}, ["T"])
        requests = ClusterResources(
            lambda wildcards: JobParams(lookup, wildcards.scene, lambda: table, settings), config, model
        )
        about = {"wildcards": SimpleNamespace(scene=scene), "attempt": attempt, "rulename": rule}
        return requests.mem_mb(**about), requests.minutes(**about)

    return ask


def test_time_goes_with_the_length_of_the_scene_and_memory_does_not(asked):
    short, long = asked("enhance_scene", SHORT), asked("enhance_scene", LONG)
    assert short[0] == long[0]
    assert short[1] < long[1]


@pytest.mark.parametrize("rule", ["hash_capture", "detect_scenes", "clean_sound", "mux_tape", "sample_report_frames"])
def test_time_goes_with_the_length_of_the_tape(asked, rule):
    assert asked(rule, hours=0.2)[1] < asked(rule, hours=8.0)[1]


def test_each_further_attempt_asks_for_twice_as_much(asked):
    first = asked("cut_scene", LONG)
    assert asked("cut_scene", LONG, attempt=2) == (2 * first[0], 2 * first[1])
    assert asked("cut_scene", LONG, attempt=4) == (8 * first[0], 8 * first[1])


def test_a_model_needs_room_for_its_weights(asked):
    # 500 MB of weights, read and converted.
    assert asked("transcribe_scene", LONG)[0] > asked("extract_audio", LONG)[0] + 3 * 500


def test_networks_take_memory_and_time(asked):
    with_network = {"preset": "good", "chain": ["deinterlace", {"network": {"model": "demo-compact"}}]}
    filters, network = asked("enhance_scene", LONG), asked("enhance_scene", LONG, enhance=with_network)
    assert network[0] > 3 * filters[0]
    assert network[1] > filters[1]


def test_the_first_job_of_a_tape_asks_by_the_size_of_its_capture(asked, tmp_path):
    little = asked("probe_capture", known=False)
    with (tmp_path / "tape.mkv").open("r+b") as stream:
        stream.truncate(40_000_000_000)
    assert asked("probe_capture", known=False)[1] > little[1] + 10


def test_the_vote_needs_to_know_nothing_of_the_capture(asked):
    # For a folder of ready scenes it is planned before anybody has looked at them, and capture.json is no input of it.
    assert asked("detect_language", known=False)[0] > 5000
