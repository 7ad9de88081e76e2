"""A disk that is full, or read-only, at every stage: a clear error, no damaged result, and the same command goes on."""

import json
import os
import re
import shutil
import subprocess
import threading
import time
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import pytest

from tapemill import scenes
from tapemill.audio import AudioSettings, clean_sound, extract_audio
from tapemill.capture.probe import CaptureSettings, probe_capture
from tapemill.config.schema import load_config
from tapemill.core.errors import DiskFull, NotWritable, WriteFailed
from tapemill.core.timing import FrameRange
from tapemill.devices.device import CPU
from tapemill.enhance import EnhanceSettings, enhance_scene
from tapemill.enhance.chain import resolve_chain
from tapemill.scenes import ScenesSettings, cut_scene
from tapemill.subtitles import join_subtitles
from tapemill.tape import SubtitleTrack, TapeDescription, TapeSettings, mux_tape
from tests.support.capture_info import capture_of
from tests.support.media.frame_codes import make_capture
from tests.support.project import Project, result_digests
from tests.support.small_disk import small_disk

FRAMES = 50
CONFIG = load_config({"enhance": {"preset": "none"}})
ENHANCE = EnhanceSettings(**resolve_chain(CONFIG["enhance"], lambda name: None, lambda own: None))


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """What the stages take, made where there is room."""
    folder = tmp_path_factory.mktemp("parts")
    make_capture(folder / "a.mkv", frames=FRAMES, interlaced="tff", size=(180, 144))
    srt = "1\n00:00:00,100 --> 00:00:01,000\nhello\n\n"
    (folder / "a.srt").write_text(srt)
    for name in ("cut_scene", "enhance_scene", "clean_sound"):
        STAGES[name](folder, folder)
    return folder


def _probe(parts, place):
    probe_capture(
        source=parts / "a.mkv",
        target=place / "capture.json",
        field_order="tff",
        display_aspect=None,
        settings=CaptureSettings(**CONFIG["capture"]),
    )


def _detect(parts, place):
    settings = {name: CONFIG["scenes"][name] for name in ScenesSettings.__dataclass_fields__}
    scenes.detect_scenes(
        source=parts / "a.mkv",
        capture=capture_of(parts / "a.mkv", interlaced="tff"),
        settings=ScenesSettings(**settings),
        table=place / "scenes.tsv",
        edl=place / "scenes.edl",
        csv=place / "scenes.csv",
    )


def _cut(parts, place):
    capture = capture_of(parts / "a.mkv", interlaced="tff")
    cut_scene(
        source=parts / "a.mkv",
        take=capture.takes[0],
        sound_stream=capture.sounds[0].stream_index,
        span=FrameRange(0, FRAMES),
        target=place / "cut.mkv",
        picture=capture.picture,
        threads=1,
    )


def _listen(parts, place):
    capture = capture_of(parts / "a.mkv")
    extract_audio(
        source=parts / "a.mkv",
        take=capture.takes[0],
        sound_stream=capture.sounds[0].stream_index,
        span=FrameRange(0, FRAMES),
        target=place / "scene.wav",
    )


def _sound(parts, place):
    capture = capture_of(parts / "a.mkv")
    clean_sound(
        sources=[parts / "a.mkv"],
        takes=capture.takes,
        sounds=capture.sounds,
        target=place / "sound.mka",
        record=place / "sound.json",
        settings=AudioSettings(**CONFIG["audio"]),
    )


def _enhance(parts, place):
    capture = capture_of(parts / "a.mkv", interlaced="tff")
    enhance_scene(
        clip=parts / "cut.mkv",
        target=place / "clip.mkv",
        record=place / "clip.json",
        picture=capture.picture,
        frames=FRAMES,
        settings=ENHANCE,
        device=CPU,
    )


def _join(parts, place):
    join_subtitles(
        cues=[parts / "a.srt"],
        starts_s=[Fraction(0)],
        durations_s=[Fraction(2)],
        gap_s=Fraction(2, 25),
        srt=place / "T.srt",
        vtt=place / "T.vtt",
    )


def _mux(parts, place, container="mkv"):
    mux_tape(
        clips=[parts / "clip.mkv"],
        clip_frames=[2 * FRAMES],
        rate=Fraction(50),
        audio=parts / "sound.mka",
        subtitles=[SubtitleTrack(parts / "a.srt", "en", "")],
        chapters=[],
        description=TapeDescription(),
        target=place / f"T.{container}",
        settings=TapeSettings(container, chapters=False, chapter_shortest_s=60, subtitles_on=False),
    )


STAGES = {
    "probe_capture": _probe,
    "detect_scenes": _detect,
    "cut_scene": _cut,
    "extract_audio": _listen,
    "clean_sound": _sound,
    "enhance_scene": _enhance,
    "join_subtitles": _join,
    "mux_tape": _mux,
    "mux_tape to mp4": lambda parts, place: _mux(parts, place, "mp4"),
}


def whole(folder):
    """What stands under `folder`, by name; nothing hidden may be left."""
    found = {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "balloon"}
    assert not [name for name in found if name.startswith(".")]
    return found


@pytest.mark.parametrize("left_blocks", [0, *(pytest.param(n, marks=pytest.mark.long) for n in (1, 4))])
@pytest.mark.parametrize("stage", STAGES)
def test_a_disk_that_becomes_full_ends_a_stage_cleanly(parts, tmp_path, stage, left_blocks):
    with small_disk(tmp_path / "disk", "16m") as disk:
        make = STAGES[stage]
        place = disk.path / "results"
        place.mkdir()
        make(parts, place)
        good = whole(place)
        shutil.rmtree(place)
        place.mkdir()
        disk.fill(but_bytes=4096 * left_blocks)
        try:
            make(parts, place)
        except DiskFull as error:
            assert "finished results stay" in str(error)
        # What was small enough to find room is right; everything else is not there.
        made = whole(place)
        assert made.items() <= good.items()
        assert left_blocks or not made
        disk.empty()
        make(parts, place)
        assert whole(place) == good


@pytest.mark.parametrize("stage", STAGES)
def test_a_disk_that_cannot_be_written_to_is_named(parts, tmp_path, stage):
    with small_disk(tmp_path / "disk", "1m") as disk:
        disk.lock()
        with pytest.raises(NotWritable, match="findmnt"):
            STAGES[stage](parts, disk.path)


@pytest.mark.parametrize(
    ("stage", "made"),
    [("cut_scene", "cut.mkv"), ("enhance_scene", "clip.mkv"), ("clean_sound", "sound.mka"), ("mux_tape", "T.mkv")],
)
def test_an_error_of_the_disk_is_no_fault_of_what_is_written(parts, tmp_path, stage, made):
    # To write at the start of a process's memory, where there is none, is an I/O error.
    (tmp_path / made).with_name(f".{Path(made).stem}.partial{Path(made).suffix}").symlink_to("/proc/self/mem")
    with pytest.raises(WriteFailed, match="Input/output error"):
        STAGES[stage](parts, tmp_path)
    assert not whole(tmp_path)


# The whole workflow


@pytest.fixture(scope="module")
def captured(tmp_path_factory):
    return make_capture(
        tmp_path_factory.mktemp("capture") / "a.mkv", frames=150, interlaced="tff", size=(180, 144), cuts=(50, 100)
    ).path


def project_at(folder, capture, **sections):
    project = Project(folder)
    project.configure(**{"disk": {"reserve_gb": 0}, "enhance": {"preset": "none"}} | sections)
    project.sheet({"tape": "T01", "source": str(capture), "language": "en", "field_order": "tff"})
    return project


def results(project):
    """Every file of the tape, and no lease."""
    return result_digests(project.folder)


@pytest.fixture(scope="module")
def undisturbed(captured, tmp_path_factory):
    project = project_at(tmp_path_factory.mktemp("undisturbed") / "project", captured)
    project.make("all")
    return results(project)


def plain(run):
    return re.sub(r"\x1b\[[0-9;]*m", "", run.output)


def test_a_run_without_room_or_right_to_write_is_refused_before_any_job(captured, tmp_path):
    with small_disk(tmp_path / "disk", "64k") as disk:
        project = project_at(tmp_path / "project", captured)
        project.path("results").symlink_to(disk.path)
        disk.fill(but_bytes=8192)
        run = project.run("all")
        assert run.exit_code != 0
        assert not run.jobs
        assert "what is to be made (T01) needs up to" in plain(run)
        assert project.run("all", "-n").exit_code == 0
        disk.empty()
        disk.lock()
        run = project.run("all")
        assert run.exit_code != 0
        assert not run.jobs
        assert "nothing can be written here" in plain(run)
        assert "findmnt" in plain(run)


@pytest.mark.long
@pytest.mark.parametrize("size", ["2900k", "3200k", "3600k", "5m", "8m"])
def test_on_disks_of_several_sizes_a_run_ends_cleanly_and_goes_on_with_more_room(captured, undisturbed, tmp_path, size):
    with small_disk(tmp_path / "disk", size) as disk:
        project = project_at(disk.path / "project", captured)
        run = project.run("all")
        assert run.exit_code == 0 or re.search("DiskFull|No space left on device|needs up to", plain(run)), plain(run)
        assert results(project).items() <= undisturbed.items()
        disk.grow("64m")
        project.make("all")
        assert results(project) == undisturbed
        assert not list(project.path("results").rglob(".partial*"))


@pytest.mark.long
@pytest.mark.parametrize("moment", ["capture.json", "scenes", "enhanced/0000000.mkv"])
@pytest.mark.parametrize("fault", ["full", "locked"])
def test_a_disk_that_fails_in_the_middle_stops_the_run_and_nothing_is_believed(
    captured, undisturbed, tmp_path, moment, fault
):
    with small_disk(tmp_path / "disk", "64m") as disk:
        # A disk on which a file is open for writing, as Snakemake's own log is all the time, cannot be locked.
        project = project_at((disk.path if fault == "full" else tmp_path) / "project", captured)
        if fault == "locked":
            project.path("results").symlink_to(disk.path)
        over = threading.Event()

        def strike():
            while not over.is_set() and not project.path(f"results/T01/{moment}").exists():
                time.sleep(0.02)
            while not over.is_set():
                if fault == "locked":
                    with suppress(subprocess.CalledProcessError):
                        disk.lock()
                        return
                    continue
                # Whatever Snakemake and the jobs give back, somebody else takes.
                try:
                    disk.fill()
                except OSError:
                    time.sleep(0.02)

        other = threading.Thread(target=strike)
        other.start()
        run = project.run("all")
        over.set()
        other.join()
        disk.unlock()
        disk.path.joinpath("balloon").unlink(missing_ok=True)
        assert run.exit_code != 0
        assert re.search("DiskFull|No space left|NotWritable|Read-only file system", plain(run)), plain(run)
        project.make("all")
        assert results(project) == undisturbed


# File times


@pytest.mark.long
def test_clocks_that_were_set_back_cost_no_enhancement(captured, tmp_path):
    """A capture of tomorrow is refused; results of tomorrow are used; nothing dear is made again."""
    project = project_at(tmp_path / "project", tmp_path / "a.mkv")
    shutil.copy(captured, tmp_path / "a.mkv")
    tomorrow = time.time() + 86_400
    os.utime(tmp_path / "a.mkv", (tomorrow, tomorrow))
    run = project.run("all")
    assert run.exit_code != 0
    assert not run.jobs
    assert "lies in the future" in plain(run)
    os.utime(tmp_path / "a.mkv")
    project.make("results/T01/scenes.tsv")
    for path in project.path("results/T01").iterdir():
        os.utime(path, (tomorrow, tomorrow))
    project.make("all")
    assert json.loads(project.path("results/T01/capture.json").read_text())["frames"] == 150
    jobs = project.make("all").jobs
    assert not {"enhance_scene", "transcribe_scene", "cut_scene"} & set(jobs)
