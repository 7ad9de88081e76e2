import errno

import numpy as np
import pytest

from tapemill.core.errors import DiskFull, FatalError, GateError, NotWritable, SceneError
from tapemill.media.ffmpeg import runner as ffmpeg
from tapemill.storage import disk_space
from tapemill.storage.atomic import staged, write_json
from tests.support.small_disk import small_disk


@pytest.fixture
def disk(tmp_path):
    with small_disk(tmp_path / "disk", "1m") as disk:
        yield disk


def test_what_a_job_needs_is_compared_with_what_is_free_and_with_the_reserve(disk):
    place = disk.path / "results" / "T01" / "not made yet"
    disk_space.require(place, 900_000, reserve_bytes=100_000, what="this job")
    with pytest.raises(DiskFull) as caught:
        disk_space.require(place, 900_000, reserve_bytes=200_000, what="this job")
    for words in ("this job needs up to 0.9 MB", "1.0 MB are free", "0.2 MB are to stay free", str(disk.path), "clean"):
        assert words in str(caught.value)


def test_a_job_without_a_figure_is_not_held_up(disk):
    disk.fill()
    config = {"disk": {"reserve_gb": 2}}
    disk_space.check_job([disk.path / "a"], {}, config)
    disk_space.check_job([], {"disk_mb": 1}, config)
    with pytest.raises(DiskFull):
        disk_space.check_job([disk.path / "a"], {"disk_mb": 1}, config)


def test_a_full_disk_leaves_no_partial_file_and_the_old_target(disk):
    target = disk.path / "a.json"
    write_json(target, {"old": True})
    before = target.read_bytes()
    disk.fill(but_bytes=100_000)
    with pytest.raises(DiskFull, match="the disk is full") as caught:
        write_json(target, {"new": "x" * 500_000})
    assert caught.value.file == target
    assert "finished results stay" in str(caught.value)
    assert target.read_bytes() == before
    assert sorted(path.name for path in disk.path.iterdir()) == ["a.json", "balloon"]
    disk.empty()
    write_json(target, {"new": "x" * 500_000})


def test_ffmpeg_that_finds_no_room_is_no_damaged_scene(disk):
    target = disk.path / "a.mkv"
    noise = ["-f", "lavfi", "-i", "nullsrc=s=320x240:r=25,noise=alls=100:allf=t", "-t", "2", "-c:v", "ffv1"]
    with pytest.raises(DiskFull) as caught, staged(target) as partial:
        ffmpeg.run([*noise, *ffmpeg.output_args(partial, "matroska")], concerns=target, timeout_s=60)
    assert any("No space left" in line for line in caught.value.stderr_tail)
    assert list(disk.path.iterdir()) == []


def test_an_output_that_lacks_its_end_on_a_full_disk_is_not_the_scenes_fault(disk):
    disk.fill()
    with pytest.raises(DiskFull) as caught, disk_space.translate_os_errors(disk.path / "a.mkv"):
        raise GateError("the clip has 3 frames, not 4")
    assert isinstance(caught.value.__cause__, SceneError)
    disk.empty()
    with pytest.raises(GateError), disk_space.translate_os_errors(disk.path / "a.mkv"):
        raise GateError("the clip has 3 frames, not 4")


@pytest.mark.parametrize(
    ("number", "kind"), [(errno.ENOSPC, DiskFull), (errno.EDQUOT, DiskFull), (errno.EROFS, NotWritable)]
)
def test_error_numbers_of_the_system_become_errors_with_a_remedy(tmp_path, number, kind):
    with pytest.raises(kind, match="what to do"), disk_space.translate_os_errors(tmp_path / "a"):
        raise OSError(number, "as the system says it", str(tmp_path / "a"))
    assert issubclass(kind, FatalError)


def test_a_file_that_may_not_be_read_is_something_else(tmp_path):
    with pytest.raises(PermissionError), disk_space.translate_os_errors(tmp_path / "results" / "a"):
        raise PermissionError(errno.EACCES, "denied", "/captures/a.mkv")
    with pytest.raises(NotWritable), disk_space.translate_os_errors(tmp_path / "results" / "a"):
        raise PermissionError(errno.EACCES, "denied", str(tmp_path / "results" / "a"))


def test_a_disk_that_is_mounted_read_only_is_said_to_be(disk):
    disk_space.require_writable(disk.path / "results" / "T01")
    assert list((disk.path / "results" / "T01").iterdir()) == []
    disk.lock()
    for folder in ("T01", "T02"):
        with pytest.raises(NotWritable, match="findmnt"):
            disk_space.require_writable(disk.path / "results" / folder)
    with pytest.raises(NotWritable):
        write_json(disk.path / "a.json", {})


def test_arrays_too_are_written_whole_or_not_at_all(disk):
    with pytest.raises(DiskFull), staged(disk.path / "a.npz") as partial, partial.open("wb") as stream:
        np.savez(stream, samples=np.random.default_rng(0).integers(0, 255, 2_000_000, dtype=np.uint8))
    assert list(disk.path.iterdir()) == []


def test_sizes_as_people_read_them():
    assert [disk_space.format_size(number) for number in (0, 123_456, 45_000_000_000)] == [
        "0.0 MB",
        "0.1 MB",
        "45.0 GB",
    ]
