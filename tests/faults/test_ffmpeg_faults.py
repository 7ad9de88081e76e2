"""An ffmpeg that is missing, dies, hangs, or ends well without having done its work: noticed at every stage.

The stages are called as the job scripts call them, each with files that real ffmpeg made before.
"""

import sys
import time
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import psutil
import pytest

from tapemill.audio import AudioSettings, clean_sound
from tapemill.capture import field_order
from tapemill.config.schema import load_config
from tapemill.core.errors import GateError, InputError, SetupError, TapemillError, ToolFailed, ToolKilled, WriteFailed
from tapemill.core.timing import FrameRange
from tapemill.devices.device import CPU
from tapemill.enhance import enhance_scene
from tapemill.media.ffmpeg import limits
from tapemill.media.ffmpeg import runner as ffmpeg
from tapemill.media.output_checks import peak_amplitude
from tapemill.media.probe import probe
from tapemill.scenes import ScenesSettings, cut_scene, detect_scenes
from tapemill.tape.streams import SubtitleTrack, prepare_streams
from tests.support.capture_info import capture_of
from tests.support.fakes.ffmpeg import program
from tests.support.media.beeps import beeping
from tests.support.media.clips import PLAIN
from tests.support.media.frame_codes import make_capture
from tests.support.networks import compact, network, steps

# The package exports the function of the same name.
clip_module = sys.modules["tapemill.enhance.enhance_scene"]

FRAMES = 50
SOUND = AudioSettings(
    tracks="all", hum_hz=0, hiss_db=0.0, loudness_lufs=None, true_peak_db=-1.0, codec="flac", bitrate_kbps=128
)
LOUD = AudioSettings(
    tracks="all", hum_hz=0, hiss_db=0.0, loudness_lufs=-23.0, true_peak_db=-1.0, codec="flac", bitrate_kbps=128
)


@pytest.fixture
def left_running():
    """Return the processes that the test has started and that still run; other tests may have left some of torch."""
    before = set(psutil.Process().children(recursive=True))
    return lambda: [each for each in psutil.Process().children(recursive=True) if each not in before]


class Tape:
    """What the stages work on, made once."""

    def __init__(self, folder):
        self.source = folder / "capture.mkv"
        make_capture(self.source, frames=FRAMES, size=(160, 128), codec="ffv1", cuts=(25,))
        self.capture = capture_of(self.source)
        self.cut = folder / "scene.mkv"
        self.cut_scene(self.cut)
        self.subtitles = folder / "a.srt"
        self.subtitles.write_text("1\n00:00:00,000 --> 00:00:01,000\nHello\n")

    def fields(self, _target):
        picture = probe(self.source).picture
        field_order.count_fields(self.source, picture, 0, [Fraction(0)], 20, timeout_s=limits.timeout_s())

    def detect_scenes(self, target):
        settings = ScenesSettings(**load_config({})["scenes"])
        more = {"edl": target.with_suffix(".edl"), "csv": target.with_suffix(".csv")}
        detect_scenes(source=self.source, capture=self.capture, settings=settings, table=target, **more)

    def cut_scene(self, target, on_failure="stop"):
        cut_scene(
            source=self.source,
            take=self.capture.takes[0],
            sound_stream=self.capture.sounds[0].stream_index,
            span=FrameRange(0, FRAMES),
            target=target,
            picture=self.capture.picture,
            threads=1,
            on_failure=on_failure,
        )

    def enhance_scene(self, target, settings=PLAIN, on_failure="stop"):
        enhance_scene(
            clip=self.cut,
            target=target,
            record=target.with_suffix(".json"),
            picture=self.capture.picture,
            frames=FRAMES,
            settings=settings,
            device=CPU,
            on_failure=on_failure,
        )

    def clean_sound(self, target, settings=SOUND):
        takes, sounds = self.capture.takes, self.capture.sounds
        record = target.with_suffix(".json")
        clean_sound(sources=[self.source], takes=takes, sounds=sounds, target=target, record=record, settings=settings)

    def measure_loudness(self, target):
        self.clean_sound(target, LOUD)

    def convert_subtitles(self, target):
        tracks = [SubtitleTrack(self.subtitles, "en", "")]
        with prepare_streams(audio=None, subtitles=tracks, container="mp4", target=target):
            pass


@pytest.fixture(scope="module")
def tape(tmp_path_factory):
    return Tape(tmp_path_factory.mktemp("tape"))


@pytest.fixture
def standin(tmp_path_factory, monkeypatch):
    """A function that puts a stand-in in ffmpeg's place for this test."""
    real = ffmpeg.binary()

    def put(kind, only=""):
        ffmpeg.set_binary(str(program(tmp_path_factory.mktemp("bin") / "ffmpeg", real, kind, only)))

    yield put
    ffmpeg.set_binary(None)


@pytest.fixture
def impatient(monkeypatch):
    """Limits of a second."""
    monkeypatch.setattr(limits, "START_UP_S", 1.0)
    monkeypatch.setattr(limits, "DECODED_SAMPLES_PER_S", 1e12)
    monkeypatch.setattr(limits, "ENCODED_SAMPLES_PER_S", 1e12)
    monkeypatch.setattr(clip_module, "START_S", 1.0)
    monkeypatch.setattr(clip_module, "SAMPLES_PER_S", 1e12)
    monkeypatch.setattr("tapemill.audio.clean.TIMEOUT_PER_SECOND", 0.0)


STAGES = [
    *("fields", "detect_scenes", "cut_scene", "enhance_scene", "clean_sound", "measure_loudness", "convert_subtitles"),
]
# What each may raise, besides a plain failure of the stage's own gate.
EXPECTED = {
    "missing": SetupError,
    "not executable": SetupError,
    "killed": ToolKilled,
    "hangs": ToolKilled,
    "garbage": (GateError, ToolFailed, InputError),
    "empty": (GateError, ToolFailed, InputError),
    "nothing": (GateError, ToolFailed, InputError),
    "half": (GateError, ToolFailed, InputError),
    "blank": GateError,
    "endless": ToolFailed,
}
# Where a stage has no use for a cue: half a look at fields is a look, and subtitles are text.
WITHOUT = {
    "fields": {"half", "blank", "endless"},
    "detect_scenes": {"blank", "endless"},
    "measure_loudness": {"half", "blank", "endless"},
    "convert_subtitles": {"half", "blank"},
}
# The others are for `make test-long`.
QUICK = {"killed", "nothing", "half", "blank"}


def case(*words):
    """Parameters of a test; the last is the cue."""
    return pytest.param(*words, marks=() if words[-1] in QUICK else pytest.mark.long)


CASES = [case(stage, kind) for stage in STAGES for kind in EXPECTED if kind not in WITHOUT.get(stage, ())]
NETWORK_CASES = [
    *(case("pipe:1", kind) for kind in ("missing", "hangs", "garbage", "nothing", "half", "killed")),
    *(case("pipe:0", kind) for kind in ("missing", "hangs", "garbage", "nothing")),
    *(pytest.param("pipe:0", kind, marks=pytest.mark.long) for kind in ("half", "killed")),
]


@pytest.mark.parametrize(("stage", "kind"), CASES)
def test_no_stage_believes_an_ffmpeg_that_has_gone_wrong(
    tmp_path, tape, standin, impatient, monkeypatch, stage, kind, left_running
):
    if kind not in ("hangs", "endless"):
        # A stand-in that starts slowly is none that hangs.
        monkeypatch.setattr(limits, "START_UP_S", 60.0)
        monkeypatch.setattr(clip_module, "START_S", 60.0)
    standin(kind)
    # What goes to a relative name is seen, too.
    monkeypatch.chdir(tmp_path)
    target = tmp_path / f"result.{'mp4' if stage == 'convert_subtitles' else 'mkv'}"
    with pytest.raises(TapemillError) as caught:
        getattr(tape, stage)(target)
    error = caught.value
    assert isinstance(error, EXPECTED[kind]), repr(error)
    assert error.file is not None or error.tool is not None
    assert list(tmp_path.iterdir()) == []
    assert left_running() == []
    if isinstance(error, InputError):
        # The capture is what the operator can do something about, only if it is the capture that is named.
        assert stage == "detect_scenes" and error.file == tape.source
    if kind == "hangs":
        assert "time limit of 1 s" in str(error)


@pytest.mark.parametrize(("side", "kind"), NETWORK_CASES)
def test_a_network_between_two_ffmpegs_notices_either(
    tmp_path, tape, standin, impatient, monkeypatch, side, kind, left_running
):
    if kind != "hangs":
        monkeypatch.setattr(limits, "START_UP_S", 60.0)
        monkeypatch.setattr(clip_module, "START_S", 60.0)
    monkeypatch.setattr(clip_module, "NETWORK_S", 0.0)
    standin(kind, side)
    target = tmp_path / "result.mkv"
    chain = steps(network(compact(tmp_path / "net.safetensors")), "resize")
    before = set(tmp_path.iterdir())
    with pytest.raises(TapemillError) as caught:
        tape.enhance_scene(target, replace(PLAIN, chain=chain))
    # The cause, not that too few pictures came: what dies or hangs is worth another attempt.
    assert isinstance(caught.value, EXPECTED[kind]), repr(caught.value)
    assert set(tmp_path.iterdir()) == before
    assert left_running() == []


@pytest.mark.parametrize(
    ("stage", "kind"),
    [("cut_scene", "disk error"), ("cut_scene", "short list"), ("enhance_scene", "disk error")],
)
def test_a_scene_is_not_replaced_because_the_disk_failed(tmp_path, tape, standin, stage, kind):
    standin(kind)
    with pytest.raises(WriteFailed):
        getattr(tape, stage)(tmp_path / "result.mkv", on_failure="keep_original")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("stage", STAGES)
def test_what_ffmpeg_leaves_running_is_ended(tmp_path, tape, standin, stage, left_running):
    standin("leaves a child")
    started = time.monotonic()
    getattr(tape, stage)(tmp_path / f"result.{'mp4' if stage == 'convert_subtitles' else 'mkv'}")
    assert left_running() == []
    assert time.monotonic() - started < 300  # its child sleeps for 600 s


def test_black_is_no_fault_where_the_capture_is_black(tmp_path):
    dark = tmp_path / "dark.mkv"
    made = ["-f", "lavfi", "-i", "color=black:s=160x128:r=25:d=2", "-f", "lavfi", "-i", "anullsrc=d=2", "-c:v", "ffv1"]
    ffmpeg.run([*made, *ffmpeg.output_args(dark, "matroska")], concerns=dark, timeout_s=60)
    black = Tape.__new__(Tape)
    black.source, black.capture, black.cut = dark, capture_of(dark), tmp_path / "scene.mkv"
    black.cut_scene(black.cut)
    black.enhance_scene(tmp_path / "clip.mkv")
    black.clean_sound(tmp_path / "sound.mka")


def test_damage_in_a_cut_is_not_patched_over_in_silence(tmp_path, tape):
    data = bytearray(tape.cut.read_bytes())
    with av.open(str(tape.cut)) as container:
        packet = [packet for packet in container.demux(video=0) if packet.size][FRAMES // 3]
        place = packet.pos + packet.size // 2
    data[place : place + 40] = bytes(byte ^ 0x5A for byte in data[place : place + 40])
    damaged = Tape.__new__(Tape)
    damaged.capture, damaged.cut = tape.capture, tmp_path / "damaged.mkv"
    damaged.cut.write_bytes(bytes(data))
    with pytest.raises(ToolFailed, match="found damage") as caught:
        damaged.enhance_scene(tmp_path / "clip.mkv")
    assert caught.value.file == damaged.cut
    assert any("CRC" in line for line in caught.value.stderr_tail)
    assert not (tmp_path / "clip.mkv").exists()


def test_sound_is_told_from_silence_in_every_format(tmp_path):
    loud = beeping(1, 8000)
    for kind, dtype, scale in (("s16", "<i2", 1.0), ("u8", "u1", 1.0), ("s32", "<i4", 1.0), ("flt", "<f4", 1.0)):
        full = np.abs(loud.astype(np.float64)).max() / np.iinfo(loud.dtype).max
        unit = {"s16": 2**15, "u8": 2**7, "s32": 2**31, "flt": 1}[kind]
        samples = np.zeros((1, 100)) + (128 if kind == "u8" else 0)
        silent = av.AudioFrame.from_ndarray(samples.astype(dtype), format=kind, layout="mono")
        assert peak_amplitude(silent) == 0
        samples[0, 50] -= unit * full * scale / 2
        assert peak_amplitude(
            av.AudioFrame.from_ndarray(samples.astype(dtype), format=kind, layout="mono")
        ) == pytest.approx(full / 2, abs=0.01)
