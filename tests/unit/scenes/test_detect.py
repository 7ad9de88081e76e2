"""Borders of made films whose cuts and fades are known, and of real ones that were looked at."""

from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import pytest

from tapemill.core.errors import InputError
from tapemill.media.ffmpeg import runner as ffmpeg
from tapemill.scenes.detect import CutDetector, detect_scenes
from tapemill.scenes.settings import ScenesSettings
from tapemill.scenes.table import read_scenes
from tests.support.capture_info import capture_of
from tests.support.media.captures import aged, look
from tests.support.media.frame_codes import irregular_times, make_capture
from tests.support.progress_log import facts, progressed, tell_all
from tests.support.project import ROOT

SETTINGS = ScenesSettings(
    cut_ratio=2.2, cut_change=8.0, flash_s=0.2, black_level=40, black_s=0.1, shortest_s=1.0, longest_s=30.0
)
SAMPLES = ROOT.parent / "shared/samples"
RATE = Fraction(25)
SIZE = 64, 51


class Film:
    """Makes pictures of filmed places: soft shapes in colour, a camera that moves, the noise of a tape."""

    def __init__(self, seed=1, noise=5.0):
        self._random = np.random.default_rng(seed)
        self._noise = noise
        self.frames = []

    def shoot(self, frames, *, place, pan=1.0, shake=0.0, level=None):
        """`level` gives the brightness of each frame, 0 is black."""
        random = np.random.default_rng(place)
        grid = random.integers(0, 255, (9, 14, 3)).astype(np.float32)
        view = cv2.resize(grid, (SIZE[0] * 3, SIZE[1] * 2), interpolation=cv2.INTER_CUBIC).clip(0, 255)
        for k in range(frames):
            x, y = np.array([10 + pan * k, 40]) + shake * self._random.standard_normal(2)
            x, y = int(abs((x + SIZE[0] * 2) % (SIZE[0] * 4) - SIZE[0] * 2)), int(np.clip(y, 0, SIZE[1]))
            picture = view[y : y + SIZE[1], x : x + SIZE[0]] * (1 if level is None else level[k])
            self.add(picture)
        return self

    def add(self, picture):
        noisy = picture + self._noise * self._random.standard_normal(picture.shape)
        self.frames.append(np.clip(noisy + 12, 0, 255).astype(np.uint8))
        return self


def borders_of(film, settings=SETTINGS):
    finder = CutDetector(settings, RATE)
    for frame in film.frames:
        finder.add(frame)
    return finder.borders()


@pytest.mark.parametrize("noise", [0.0, 5.0, 15.0])
def test_finds_each_cut_at_its_frame(noise):
    film = Film(noise=noise)
    for place in range(6):
        film.shoot(40 + 7 * place, place=place)

    assert borders_of(film) == [40, 87, 141, 202, 270]


def test_finds_cuts_in_the_dark():
    film = Film(noise=3.0).shoot(40, place=3, level=np.full(40, 0.3)).shoot(40, place=4, level=np.full(40, 0.3))

    assert borders_of(film) == [40]


def test_fades_are_cut_in_the_black():
    down, up = np.linspace(1, 0, 30), np.linspace(0, 1, 30)
    film = Film().shoot(100, place=1, level=[*np.ones(60), *down, *np.zeros(10)])
    film.shoot(100, place=2, level=[*np.zeros(10), *up, *np.ones(60)])

    (border,) = borders_of(film)
    assert 90 <= border <= 110, "between the last and the first picture that is not black"


def test_a_dark_picture_is_no_black():
    film = Film().shoot(200, place=4, level=0.25 + 0.05 * np.sin(np.arange(200) / 3))

    assert borders_of(film) == []


@pytest.mark.parametrize("length", [1, 2, 4])
def test_flashes_and_dropouts_are_no_cuts(length):
    film = Film().shoot(150, place=5)
    for k in range(40, 40 + length):
        film.frames[k] = np.minimum(film.frames[k].astype(int) + 130, 255).astype(np.uint8)
    for k in range(90, 90 + length):
        film.frames[k][8:] = 16

    assert borders_of(film) == []


@pytest.mark.parametrize("camera", [{"pan": 0}, {"pan": 3.0}, {"pan": 0.5, "shake": 3.0}])
def test_noise_shake_and_pans_are_no_cuts(camera):
    film = Film(noise=15.0).shoot(SIZE[0] * 2 // 5, place=6, **camera)

    assert borders_of(film) == []


def test_a_cut_inside_a_shaken_scene_is_found():
    film = Film().shoot(60, place=6, shake=1.5).shoot(60, place=9, shake=1.5)

    assert borders_of(film) == [60]


def scenes_of(path, folder, *, settings=SETTINGS, **facts):
    table = folder / "scenes.tsv"
    detect_scenes(
        source=path,
        capture=capture_of(path, **facts),
        settings=settings,
        table=table,
        edl=folder / "scenes.edl",
        csv=folder / "scenes.csv",
    )
    return [scene.span.start_frame for scene in read_scenes(table)]


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("25i.mkv", {"interlaced": "tff"}),
        ("30i.ts", {"interlaced": "bff", "rate": Fraction(30000, 1001), "size": (720, 480)}),
        ("variable.mkv", {"rate": Fraction(30), "times_s": irregular_times(200, Fraction(30))}),
        ("late picture.mp4", {"picture_start_s": Fraction(7, 10), "gop": 250}),
    ],
)
def test_scenes_of_a_capture(tmp_path, name, make):
    truth = make_capture(tmp_path / name, frames=200, cuts=(60, 140), **make)

    found = scenes_of(truth.path, tmp_path, interlaced=truth.interlaced, rate=truth.rate)

    frames = capture_of(truth.path, rate=truth.rate).frames
    shown = truth.shown(frames)
    assert found == [0, *(next(k for k in range(frames) if shown[k] >= cut) for cut in truth.cuts)]
    assert read_scenes(tmp_path / "scenes.tsv")[-1].span.stop_frame == frames


def test_long_scenes_are_split_where_it_is_quiet(tmp_path):
    settings = replace(SETTINGS, longest_s=4.0)
    truth = make_capture(tmp_path / "a.mkv", frames=150)

    found = scenes_of(truth.path, tmp_path, settings=settings)

    assert len(found) == 2
    # It beeps at each multiple of 25 frames: the border keeps away from them.
    assert 5 <= found[1] % 25 <= 20


def test_a_changed_setting_moves_only_its_borders(tmp_path):
    truth = make_capture(tmp_path / "a.mkv", frames=200, cuts=(20, 100))

    assert scenes_of(truth.path, tmp_path, settings=replace(SETTINGS, shortest_s=0.5)) == [0, 20, 100]
    assert scenes_of(truth.path, tmp_path) == [0, 100]


def test_a_capture_that_ends_too_early_is_refused(tmp_path):
    truth = make_capture(tmp_path / "a.mkv", frames=100)
    capture = capture_of(truth.path)
    longer = replace(capture, takes=(replace(capture.takes[0], frames=160),))

    with pytest.raises(InputError, match="160 frames, but only 100"):
        detect_scenes(
            source=truth.path,
            capture=longer,
            settings=SETTINGS,
            table=tmp_path / "t",
            edl=tmp_path / "e",
            csv=tmp_path / "c",
        )
    assert not (tmp_path / "t").exists()


def test_a_capture_that_changes_its_size_on_the_way_is_refused(tmp_path):
    joined = tmp_path / "joined.m2v"
    for size in ((64, 48), (128, 96)):
        # Of raw video, files one after the other are one file.
        part = make_capture(tmp_path / f"{size[0]}.m2v", size=size, frames=50, codec="mpeg2video", sound_start_s=None)
        with joined.open("ab") as stream:
            stream.write(part.path.read_bytes())
    targets = {"table": tmp_path / "t", "edl": tmp_path / "e", "csv": tmp_path / "c"}
    with pytest.raises(InputError, match="change their size"):
        detect_scenes(source=joined, capture=capture_of(joined), settings=SETTINGS, **targets)
    assert not (tmp_path / "t").exists()


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the real media are not here")
@pytest.mark.parametrize(("name", "cuts"), [("bikes.mp4", [30, 76, 137, 187, 242]), ("nasa_13013.mp4", [240])])
def test_real_cuts(tmp_path, name, cuts):
    assert scenes_of(SAMPLES / name, tmp_path, settings=replace(SETTINGS, shortest_s=0.2)) == [0, *cuts]


def test_it_tells_how_many_pictures_were_looked_at(tmp_path, monkeypatch, caplog):
    tell_all(monkeypatch, caplog)
    path = make_capture(tmp_path / "a.mkv", frames=60, size=(96, 64)).path
    tables = {name: tmp_path / name for name in ("table", "edl", "csv")}
    detect_scenes(source=path, capture=capture_of(path), settings=SETTINGS, **tables)
    assert [told["frames"] for told in progressed(caplog)] == list(range(1, 61))
    assert facts(caplog) == {"frames": 60}


FIRST_FIELDS = {
    "tff": "tinterlace=interleave_top",
    "bff": "tinterlace=interleave_bottom",
    "progressive": "fps=25",
}


@pytest.mark.parametrize("noise", ["null", "noise=alls=12:allf=t"], ids=["clean", "noisy"])
@pytest.mark.parametrize(("one", "other"), [("tff", "bff"), ("bff", "tff"), ("tff", "progressive")])
def test_a_scene_is_split_where_its_field_order_changes(tmp_path, one, other, noise):
    path = tmp_path / "a.mkv"
    # One movement without a cut: 62 frames in one order, and 58 in the other.
    halves = f"[a]trim=end_frame=124,{FIRST_FIELDS[one]}[c];[b]trim=start_frame=124,setpts=PTS-STARTPTS,"
    graph = f"testsrc2=s=320x400:r=50:d=4.8,{noise},split[a][b];{halves}{FIRST_FIELDS[other]}[d];[c][d]concat"
    ffmpeg.run(
        ["-f", "lavfi", "-i", graph, "-c:v", "ffv1", *ffmpeg.output_args(path, "matroska")],
        concerns=path,
        timeout_s=60,
    )
    capture = look(aged(path), "auto", field_order_spots=1)

    detect_scenes(
        source=path,
        capture=capture,
        settings=SETTINGS,
        table=tmp_path / "scenes.tsv",
        edl=tmp_path / "scenes.edl",
        csv=tmp_path / "scenes.csv",
    )

    assert [scene.span.start_frame for scene in read_scenes(tmp_path / "scenes.tsv")] == [0, 62]
