from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from tapemill.config.schema import load_config
from tapemill.config.tape_sheet import TapeRow
from tapemill.core.errors import ConfigError, ModelError
from tapemill.core.timing import FrameRange
from tapemill.enhance import SceneSettings
from tapemill.media.capture_info import AudioTrackInfo, Capture, SourceFileInfo, VideoInfo
from tapemill.media.colour import Colour
from tapemill.media.film.cadence import SceneFilm
from tapemill.scenes import Scene, read_scenes
from tapemill.scenes.table import write_scenes
from tapemill.storage.atomic import write_json
from tapemill.workflow.job_params import JobParams
from tapemill.workflow.tape import TapeState

ENHANCE = SceneSettings.planned({**load_config({})["enhance"], "overrides": ""}, ["T"])
COLOUR = Colour("bt470bg", "bt470bg", "bt470bg", "tv")
PICTURE = VideoInfo(720, 576, "yuv422p", 8, Fraction(16, 15), Fraction(25), "tff", COLOUR)


def take(frames):
    return SourceFileInfo(Fraction(25), 0, Fraction(1, 1000), frames, frames, 0, 0, False, "a.mkv", 0)


def tape(tmp_path, source, frames):
    lookup = TapeState(TapeRow("T", source, "T", "", "en", "auto", "auto"), tmp_path / "results")
    capture = Capture(
        kind="folder" if source.is_dir() else "file",
        takes=tuple(take(count) for count in frames),
        picture=PICTURE,
        sounds=(AudioTrackInfo(2, "pcm_s16le", 48_000, 2, "", ""),),
        notes={},
    )
    write_json(lookup.paths.capture_record, capture.to_plain())
    return lookup


@pytest.fixture
def film(tmp_path):
    source = tmp_path / "film.mkv"
    source.write_bytes(b"film")
    table = tmp_path / "scenes.tsv"
    write_scenes(
        [Scene("0000000", FrameRange(0, 40), PICTURE.rate), Scene("0000040", FrameRange(40, 100), PICTURE.rate)], table
    )
    return tape(tmp_path, source, [100]), table


@pytest.fixture
def folder(tmp_path):
    source = tmp_path / "scenes"
    source.mkdir()
    for name in ("10.mkv", "9.mkv"):
        (source / name).write_bytes(name.encode())
    return tape(tmp_path, source, [30, 50])


def test_a_scene_of_a_film_is_a_span_of_it(film):
    lookup, table = film
    job = JobParams(lookup, "0000040", lambda: table, ENHANCE)
    assert (job.span_in_file, job.frames, job.rate) == ([40, 100], 60, "25/1")
    assert job.source == str(lookup.row.source)
    assert job.take["frames"] == 100
    assert job.speech_stream == 2


def test_a_scene_of_a_folder_is_a_file(folder):
    job = JobParams(folder, "0000002", lambda: None, ENHANCE)
    assert Path(job.source).name == "10.mkv"
    assert (job.span_in_file, job.frames) == ([0, 50], 50)
    assert job.take["frames"] == 50
    assert JobParams(folder, None, lambda: None, ENHANCE).spans == [[0, 30], [30, 80]]
    assert job.fingerprint != JobParams(folder, "0000001", lambda: None, ENHANCE).fingerprint


def test_bob_doubles_frames_and_rate_of_the_clips(film):
    lookup, table = film
    job = JobParams(lookup, None, lambda: table, ENHANCE)
    assert (job.enhanced_rate, job.enhanced_spans) == ("50/1", [[0, 80], [80, 200]])


def test_a_scene_that_is_not_there_is_named(film, folder):
    lookup, table = film
    with pytest.raises(ConfigError, match="none named 0000041"):
        _ = JobParams(lookup, "0000041", lambda: table, ENHANCE).file
    with pytest.raises(ConfigError, match="2 scenes"):
        _ = JobParams(folder, "0000003", lambda: None, ENHANCE).file


def test_facts_that_are_not_there_yet_are_a_missing_file_that_snakemake_knows(tmp_path):
    lookup = TapeState(TapeRow("T", tmp_path / "a.mkv", "T", "", "en", "auto", "auto"), tmp_path / "results")
    with pytest.raises(FileNotFoundError) as caught:
        _ = JobParams(lookup, None, lambda: None, ENHANCE).picture
    assert caught.value.filename == str(lookup.paths.capture_record)


def test_facts_made_anew_are_read_anew(tmp_path, film):
    lookup, _ = film
    assert lookup.capture.frames == 100
    tape(tmp_path, lookup.row.source, [120])
    assert lookup.capture.frames == 120
    assert isinstance(lookup.capture, Capture)


@pytest.fixture
def networks(tmp_path):
    """Settings of a tape whose second scene goes through a network of one's own; its file is not there yet."""
    table = tmp_path / "overrides.tsv"
    table.write_text(f"tape\tscene\tchain\nT\t0000040\t[{{network: {{model: {tmp_path}/net.pth}}}}]\n")
    return SceneSettings.planned({**load_config({})["enhance"], "overrides": str(table)}, ["T"])


def test_a_scene_of_its_own_has_its_own_chain_and_the_picture_of_the_tape(film, networks, tmp_path):
    lookup, table = film
    plain, own = (JobParams(lookup, scene, lambda: table, networks) for scene in ("0000000", "0000040"))
    assert plain.networks == ()
    assert plain.enhancement == JobParams(lookup, None, lambda: table, networks).enhancement
    assert [step.file for step in own.networks] == [f"{tmp_path}/net.pth"]
    assert own.output == plain.output


def test_the_chain_of_a_ready_scene_is_known_before_its_length(folder, tmp_path):
    folder.paths.capture_record.unlink()
    rows = {"name": "scene\tsharpen\nT\t0000002\t0.5\n", "frames": "start_frame\tstop_frame\nT\t0\t9\n"}
    made = {}
    for name, text in rows.items():
        (tmp_path / name).write_text(f"tape\t{text}")
        section = {**load_config({})["enhance"], "overrides": str(tmp_path / name)}
        made[name] = JobParams(folder, "0000002", lambda: None, SceneSettings.planned(section, ["T"]))
    assert made["name"].enhancement["sharpen"] == 0.5
    assert made["name"].network_files == []
    with pytest.raises(ConfigError, match="is a folder of scenes"):
        _ = made["frames"].enhancement


def test_a_network_that_is_not_there_or_not_pinned_is_said_before_a_card_is_taken(film, networks, tmp_path):
    lookup, table = film
    job = JobParams(lookup, "0000040", lambda: table, networks)
    with pytest.raises(ModelError, match="is missing, or not pinned"):
        _ = job.network_files
    (tmp_path / "net.pth").write_bytes(b"weights")
    with pytest.raises(ModelError, match="is missing, or not pinned"):
        _ = job.network_files
    assert JobParams(lookup, "0000000", lambda: table, networks).network_files == []


def test_what_a_tape_is_made_with_names_no_place_and_no_time(film):
    lookup, table = film
    made = JobParams(lookup, None, lambda: table, ENHANCE).tape_tags(load_config({}), "abc", {"scenes": 1, "tape": 2})
    assert made["recipe"] == "scenes=1 tape=2"
    assert made["speech_model_sha256"] == "abc"
    assert made["field_order"] == "tff"
    assert not [value for value in made.values() if str(lookup.results.parent) in str(value)]


@pytest.mark.parametrize(
    ("is_asked", "end_s", "stretch"),
    [
        (True, Fraction(402, 100), "201/200"),
        (False, Fraction(402, 100), None),
        (True, Fraction(4), None),
        (True, Fraction(5), None),
        (True, None, None),
    ],
)
def test_audio_is_stretched_if_it_is_asked_for_and_may_be_a_clock(film, is_asked, end_s, stretch):
    lookup, table = film
    found = lookup.capture
    sounds = (replace(found.sounds[0], end_s=end_s),)
    write_json(lookup.paths.capture_record, replace(found, sounds=sounds).to_plain())
    fresh = TapeState(lookup.row, lookup.paths.folder.parent)
    params = JobParams(fresh, "0000000", lambda: table, ENHANCE, stretch_to_picture=is_asked)
    assert params.stretch == stretch


def test_a_tape_that_is_film_has_the_rate_and_the_frames_of_film(film):
    lookup, table = film
    scenes = read_scenes(table)
    films = [SceneFilm("25", "tff", 0.99, 41, "1,2*39,2"), SceneFilm("25", "tff", 0.99, 60, "1.,2*59,1")]
    write_scenes([replace(scene, film=each) for scene, each in zip(scenes, films, strict=True)], table)
    job = JobParams(lookup, None, lambda: table, ENHANCE)
    assert (job.enhanced_rate, job.enhanced_spans) == ("25/1", [[0, 41], [41, 101]])
    assert job.output["film"] == "25"
    first = JobParams(lookup, "0000000", lambda: table, ENHANCE)
    assert (first.span_in_file, first.frames) == ([0, 40], 40)
    assert (first.cut_in_file, first.cut_frames) == ([0, 41], 41)
    assert first.film == films[0].to_plain()

    off = SceneSettings.planned({**load_config({})["enhance"], "overrides": "", "deinterlace": "off"}, ["T"])
    job = JobParams(lookup, "0000000", lambda: table, off)
    assert (job.film, job.films, job.cut_frames, job.cut_in_file) == (None, None, 40, [0, 40])
    assert "film" not in job.output


def test_a_sheet_without_film_gives_jobs_what_it_gave_before(film):
    lookup, table = film
    job = JobParams(lookup, "0000000", lambda: table, ENHANCE)
    assert (job.film_choice, job.film, job.films) == (None, None, None)
    assert "film" not in job.row
    assert "film" not in job.output
    lookup.row = replace(lookup.row, film="off")
    assert (job.film_choice, job.row["film"]) == ("off", "off")
