"""Estimates against files that are really made, and what is still to be made of a tape."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import pytest

from tapemill.config.schema import load_config
from tapemill.config.tape_sheet import TapeRow
from tapemill.core.errors import DiskFull, NotWritable
from tapemill.core.timing import FrameRange
from tapemill.enhance import EnhanceSettings, SceneSettings
from tapemill.enhance.chain import resolve_chain
from tapemill.media.capture_info import AudioTrackInfo
from tapemill.media.ffmpeg import runner as ffmpeg
from tapemill.planning import disk_usage, file_sizes
from tapemill.scenes import cut_scene
from tapemill.scenes.table import make_scenes, write_scenes
from tapemill.storage.atomic import write_json
from tapemill.workflow.job_params import JobParams
from tapemill.workflow.tape import TapeState
from tests.support.capture_info import capture_of
from tests.support.media.frame_codes import make_capture
from tests.support.small_disk import small_disk

HOURS = 2
SOUND = AudioTrackInfo(1, "pcm_s16le", 48_000, 2, "", "")


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """A capture of 4 s, really there."""
    return make_capture(tmp_path_factory.mktemp("capture") / "a.mkv", frames=100, interlaced="tff").path


def enhance(**changes):
    section = load_config({"enhance": changes})["enhance"]
    return resolve_chain(section, lambda name: None, lambda own: None)


@pytest.fixture
def tape(short, tmp_path, monkeypatch):
    """A tape of two hours, of which all facts are known and nothing is made."""
    monkeypatch.chdir(tmp_path)
    facts = capture_of(short, interlaced="tff")
    frames = HOURS * 3600 * 25
    facts = replace(facts, takes=(replace(facts.takes[0], frames=frames),), sounds=(SOUND,))
    lookup = TapeState(TapeRow("T01", short, "", "", "en", "tff", "4:3"))
    write_json(lookup.paths.capture_record, facts.to_plain())
    return lookup


def need(lookup, rules, *, cores=4, disk=None, **changes):
    disk = load_config({"disk": disk or {}})["disk"]
    (found,) = disk_usage.plan_disks(
        {"T01": lookup}, {"T01": rules}, enhance=enhance(**changes), disk=disk, cores=cores
    )
    return found


def scenes(lookup):
    made = make_scenes((FrameRange(start, start + 750) for start in range(0, HOURS * 90_000, 750)), Fraction(25))
    write_scenes(made, lookup.paths.scene_table)
    return made


def test_the_cut_of_a_noisy_tape_is_not_larger_than_estimated_nor_much_smaller(tmp_path):
    source, target = tmp_path / "noisy.mkv", tmp_path / "0000000.mkv"
    noisy = "mandelbrot=size=360x288:rate=25,gblur=1.5,noise=alls=6:allf=t,format=yuv422p"
    ffmpeg.run(
        ["-f", "lavfi", "-i", noisy, "-t", "1", "-c:v", "ffv1", *ffmpeg.output_args(source, "matroska")],
        concerns=source,
        timeout_s=60,
    )
    capture = capture_of(source, interlaced="tff")
    known = {"source": source, "take": capture.takes[0], "sound_stream": None}
    cut_scene(**known, span=FrameRange(0, 25), target=target, picture=capture.picture, threads=1)
    expected = file_sizes.cut_bytes(capture.picture, 25, None)
    assert expected / 2 < target.stat().st_size < expected


def test_a_tape_of_two_hours_needs_a_bounded_number_of_cuts_and_its_picture_twice(tape):
    plan = need(tape, {"mux_tape"})
    clips = 2 * HOURS * 3600 * 15e6 / 8
    assert plan.stays_bytes == pytest.approx(clips, rel=0.15)
    cut = file_sizes.cut_bytes(tape.capture.picture, 750, SOUND)
    assert 150e6 < cut < 400e6
    assert plan.peak_bytes - plan.stays_bytes == pytest.approx(20 * cut, rel=0.01)
    more = need(tape, {"mux_tape"}, disk={"cut_backlog": 26})
    assert more.peak_bytes - plan.peak_bytes == pytest.approx(10 * cut, rel=0.01)


def test_cuts_that_are_kept_are_counted_all(tape):
    cuts = need(tape, {"mux_tape"}, disk={"keep_cuts": True}).stays_bytes - need(tape, {"mux_tape"}).stays_bytes
    assert cuts == pytest.approx(240 * file_sizes.cut_bytes(tape.capture.picture, 750, SOUND), rel=0.01)


def test_settings_that_make_larger_files_need_more(tape):
    usual = need(tape, {"mux_tape"}).stays_bytes
    assert need(tape, {"mux_tape"}, crf=12).stays_bytes == pytest.approx(2 * usual, rel=0.1)
    assert need(tape, {"mux_tape"}, encoder="ffv1").stays_bytes > 5 * usual
    assert need(tape, {"mux_tape"}, deinterlace="single").stays_bytes == pytest.approx(usual / 2, rel=0.1)


def test_what_is_there_is_not_needed_again(tape):
    made = scenes(tape)
    before = need(tape, {"mux_tape"})
    enhanced = tape.paths.folder.joinpath("enhanced")
    enhanced.mkdir()
    for scene in made[:120]:
        (enhanced / f"{scene.id}.mkv").write_bytes(b"clip")
    after = need(tape, {"mux_tape"})
    # Half of the clips, and half of the tape as these happen to be nearly empty; its sound is the same.
    assert after.stays_bytes == pytest.approx(before.stays_bytes / 2, rel=0.1)
    for scene in made[120:-1]:
        (enhanced / f"{scene.id}.mkv").write_bytes(b"clip")
    assert need(tape, {"mux_tape"}).peak_bytes < before.peak_bytes / 8


def test_only_what_the_run_makes_counts(tape):
    assert need(tape, {"detect_scenes"}).peak_bytes == 0
    sound = need(tape, {"clean_sound"})
    assert 1e9 < sound.stays_bytes < sound.peak_bytes < 5e9
    assert need(tape, {"join_subtitles"}).stays_bytes == pytest.approx(HOURS * 3600 * 32_000, rel=0.01)


def test_before_the_probe_the_capture_itself_is_the_measure(tape, short):
    tape.paths.capture_record.unlink()
    plan = need(tape, {"mux_tape"})
    assert plan.tapes[0].is_guess
    assert plan.peak_bytes == pytest.approx(0.4 * short.stat().st_size, rel=0.01)


def a_job(rule, tape="T01"):
    return SimpleNamespace(rule=SimpleNamespace(name=rule), wildcards={"tape": tape} if tape else {})


def test_a_run_without_room_is_refused_before_it_begins(tape, tmp_path):
    jobs = [a_job("all", None), a_job("mux_tape"), a_job("clean_sound")]
    with small_disk(tmp_path / "disk", "8m") as disk:
        facts = tape.paths.capture_record.read_bytes()
        tape.paths.capture_record.unlink()
        tape.paths.folder.rmdir()
        tape.paths.folder.symlink_to(disk.path)
        tape.paths.capture_record.write_bytes(facts)
        config = load_config({"disk": {"reserve_gb": 0}})
        with pytest.raises(DiskFull) as caught:
            disk_usage.check_run(jobs, {"T01": tape}, config, enhance=enhance(), cores=2)
        for words in ("(T01)", "GB", "8.4 MB are free", "link to a larger disk"):
            assert words in str(caught.value)
        disk_usage.check_run([a_job("detect_scenes")], {"T01": tape}, config, enhance=enhance(), cores=2)
        # In the queue, without a job of its own yet.
        with pytest.raises(DiskFull):
            disk_usage.check_run([], {"T01": tape}, config, later=["T01"], enhance=enhance(), cores=2)
        tape.paths.tape("mkv").touch()
        disk_usage.check_run([], {"T01": tape}, config, later=["T01"], enhance=enhance(), cores=2)
        disk.lock()
        with pytest.raises(NotWritable):
            disk_usage.check_run([a_job("detect_scenes")], {"T01": tape}, config, enhance=enhance(), cores=2)


def test_what_single_jobs_write(tape):
    scenes(tape)
    settings = SceneSettings(enhance(), [], dict)
    job = JobParams(tape, "0000750", lambda: Path("results/T01/scenes.tsv"), settings)
    cut, clip, speech = (disk_usage.disk_mb(job, work) for work in ("cut", "clip", "speech_audio"))
    assert 150 < cut < 400
    assert 40 < clip < 80
    assert speech == 1
    whole = JobParams(tape, None, lambda: Path("results/T01/scenes.tsv"), settings)
    assert disk_usage.disk_mb(whole, "tape") > 240 * clip * 0.9
    assert 2000 < disk_usage.disk_mb(whole, "tape_audio") < 6000
    assert isinstance(EnhanceSettings(**settings.of_tape), EnhanceSettings)
