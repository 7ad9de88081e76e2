import os

import pytest

from tapemill.core.errors import TransientError
from tapemill.storage import atomic
from tapemill.storage.atomic import staged
from tests.support.small_disk import small_disk


@pytest.fixture
def folder(tmp_path, monkeypatch):
    folder = tmp_path / "work"
    (folder / "results/T01/enhanced").mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


def hidden(folder):
    return sorted(path.relative_to(folder) for path in folder.rglob(".partial*"))


def write_half(target):
    """What a killed job leaves."""
    partial = atomic.staging_path(target)
    partial.write_bytes(b"half")
    return partial


def test_partial_files_of_results_are_in_one_place_under_names_of_their_own(folder):
    targets = [
        folder / name
        for name in ("results/T01/enhanced/0000100.mkv", "results/T01/enhanced/0000100.json", "results/T01/T01.mkv")
    ]
    partials = [write_half(target) for target in targets]
    assert len({*partials}) == 3
    assert [partial.suffix for partial in partials] == [".mkv", ".json", ".mkv"]
    assert all(partial.is_relative_to(folder / "results/.partial") for partial in partials)
    os.chdir(folder)
    assert atomic.staging_path(targets[0].relative_to(folder)).resolve() == partials[0]


def test_a_target_elsewhere_is_written_beside_itself(folder):
    (folder / "config").mkdir()
    for target in (folder / "config/models.lock", folder.parent / "elsewhere.json"):
        assert atomic.staging_path(target).parent == target.parent


def test_the_place_is_swept_and_results_are_not(folder):
    finished = folder / "results/T01/enhanced/0000000.mkv"
    finished.write_bytes(b"whole")
    write_half(folder / "results/T01/enhanced/0000100.mkv")
    with atomic.scratch_dir(folder / "results/T01/scenes/0000100.mkv") as scratch:
        (scratch / "sound.f32").write_bytes(b"half")
        # Killed here, it would stay.
        atomic.clean_staging()
        assert not scratch.exists()
    assert hidden(folder) == []
    assert finished.read_bytes() == b"whole"


def test_nothing_is_left_after_success_and_failure(folder):
    target = folder / "results/T02/sound.mka"
    with atomic.scratch_dir(target) as scratch, staged(target) as partial:
        (scratch / "0.raw").write_bytes(b"raw")
        partial.write_bytes(b"whole")
    with pytest.raises(RuntimeError), atomic.scratch_dir(target) as scratch, staged(target) as partial:
        partial.write_bytes(b"half")
        raise RuntimeError
    assert [path for path in (folder / "results/.partial").rglob("*") if path.is_file() or "scratch" in path.name] == []
    assert target.read_bytes() == b"whole"


def test_an_attempt_begins_with_an_empty_folder(folder):
    target = folder / "results/T01/sound.mka"
    left = atomic.staging_path(target).with_name("sound.mka.scratch")
    left.mkdir()
    (left / "0.raw").write_bytes(b"of an attempt that was killed")
    with atomic.scratch_dir(target) as scratch:
        assert list(scratch.iterdir()) == []


def test_what_is_written_whole_on_the_way_makes_no_place_inside_the_place(folder):
    with atomic.scratch_dir(folder / "results/T01/T01.mkv") as scratch, staged(scratch / "part.mkv") as partial:
        partial.write_bytes(b"part")
        assert partial.resolve().parent == scratch.resolve()
        assert [path.name for path in folder.rglob(".partial")] == [".partial"]
    atomic.clean_staging()
    assert not hidden(folder)


def test_a_place_inside_a_place_as_earlier_versions_made_it_is_swept(folder):
    (folder / f"results/.partial/{atomic.working_folder_id()}/.partial/T01").mkdir(parents=True)
    atomic.clean_staging()
    assert not hidden(folder)


def test_a_tape_on_another_disk_is_written_there(folder, tmp_path):
    with small_disk(tmp_path / "other", "1m") as disk:
        (folder / "results/T02").symlink_to(disk.path)
        target = folder / "results/T02/enhanced/0000000.mkv"
        with staged(target) as partial:
            assert partial.resolve().is_relative_to(disk.path / ".partial")
            partial.write_bytes(b"whole")
        assert target.read_bytes() == b"whole"
        write_half(target)
        atomic.clean_staging()
        assert hidden(disk.path) == []


def test_a_stage_on_another_disk_is_written_there(folder, tmp_path):
    with small_disk(tmp_path / "other", "1m") as disk:
        (folder / "results/T01/scenes").symlink_to(disk.path)
        partial = write_half(folder / "results/T01/scenes/0000000.mkv")
        assert partial.resolve().is_relative_to(disk.path / ".partial")
        atomic.clean_staging()
        assert hidden(disk.path) == []


def test_a_run_elsewhere_with_results_in_the_same_folder_is_left_alone(folder, tmp_path, monkeypatch):
    (tmp_path / "archive").mkdir()
    written = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "results").symlink_to(tmp_path / "archive")
        monkeypatch.chdir(tmp_path / name)
        (tmp_path / "archive" / name).mkdir()
        written.append(write_half(tmp_path / name / "results" / name / "T.mkv").resolve())
    atomic.clean_staging()
    assert [path.exists() for path in written] == [True, False]


def test_a_folder_that_was_moved_after_a_crash_is_swept(folder, tmp_path, monkeypatch):
    write_half(folder / "results/T01/T01.mkv")
    moved = folder.rename(tmp_path / "moved")
    monkeypatch.chdir(moved)
    atomic.clean_staging()
    assert hidden(moved) == []


def test_a_temporary_file_is_removed_once_it_was_used_well(tmp_path):
    cut = tmp_path / "0000000.mkv"
    cut.touch()
    with pytest.raises(RuntimeError), atomic.consume_temp(cut, keep=False):
        raise RuntimeError
    with atomic.consume_temp(cut, keep=True):
        pass
    assert cut.exists()
    with atomic.consume_temp(cut, keep=False):
        pass
    assert not cut.exists()
    with pytest.raises(TransientError, match="used already"), atomic.consume_temp(cut, keep=False):
        pass


def test_a_temporary_file_that_cannot_be_removed_costs_no_finished_work(tmp_path, caplog):
    # Such is an unlink of a folder.
    with atomic.consume_temp(tmp_path, keep=False):
        pass
    assert "cannot be removed" in caplog.text
