import json
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapemill.core.errors import InputError
from tapemill.storage.atomic import staged, write_json
from tapemill.storage.fingerprint import fingerprint, natural_key, scene_files, sha256


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    target = tmp_path / "deep" / "clip.mkv"
    with pytest.raises(RuntimeError), staged(target) as partial:
        partial.write_bytes(b"half")
        assert not target.exists()
        raise RuntimeError("power cut")
    assert list(target.parent.iterdir()) == []
    with staged(target) as partial:
        partial.write_bytes(b"whole")
        assert partial.suffix == ".mkv"
    assert target.read_bytes() == b"whole"
    assert list(target.parent.iterdir()) == [target]


def test_what_cannot_be_removed_hides_no_error(tmp_path):
    with pytest.raises(RuntimeError), staged(tmp_path / "a") as partial:
        partial.mkdir()
        raise RuntimeError


def test_what_was_there_stays_until_the_new_file_is_whole(tmp_path):
    target = tmp_path / "a.json"
    write_json(target, {"old": 1})
    with pytest.raises(TypeError):
        write_json(target, {"new": object()})
    assert json.loads(target.read_text()) == {"old": 1}


def test_a_name_that_is_not_utf8_can_be_written_down(tmp_path):
    name = b"b\xe4d".decode("utf-8", "surrogateescape")
    write_json(tmp_path / "a.json", {"file": name})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"file": name}


def test_forgetting_to_write_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError), staged(tmp_path / "a"):
        pass


def test_fingerprint_survives_copying_and_sees_a_change_of_content(tmp_path):
    original = tmp_path / "a.avi"
    original.write_bytes(bytes(range(256)) * 20_000)
    copied = shutil.copy(original, tmp_path / "b.avi")
    assert fingerprint(copied) == fingerprint(original)
    data = bytearray(original.read_bytes())
    data[-1] ^= 1
    copied.write_bytes(data)
    assert fingerprint(copied) != fingerprint(original)
    copied.write_bytes(original.read_bytes() + b"x")
    assert fingerprint(copied) != fingerprint(original)


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537])
def test_fingerprint_of_small_files(tmp_path, size):
    path = tmp_path / "a"
    path.write_bytes(b"a" * size)
    assert fingerprint(path).startswith(f"{size}-")


def test_fingerprint_of_a_folder_covers_names_and_contents(tmp_path):
    for name in ("1.mkv", "2.mkv"):
        (tmp_path / name).write_bytes(name.encode())
    before = fingerprint(tmp_path)
    (tmp_path / "notes.txt").write_text("not a scene")
    assert fingerprint(tmp_path) == before
    (tmp_path / "2.mkv").rename(tmp_path / "3.mkv")
    assert fingerprint(tmp_path) != before


def test_sha256(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    assert sha256(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_natural_order_of_scene_files(tmp_path):
    for name in ("clip 10.mkv", "clip 9.mkv", "Clip 1.MKV", ".hidden.mkv", "Thumbs.db", "it's {odd}\n.mp4"):
        (tmp_path / name).touch()
    assert [path.name for path in scene_files(tmp_path)] == [
        "Clip 1.MKV",
        "clip 9.mkv",
        "clip 10.mkv",
        "it's {odd}\n.mp4",
    ]


@given(st.text("0123456789ab²٣", max_size=6), st.text("0123456789ab²٣", max_size=6))
def test_any_two_names_have_an_order(one, other):
    a, b = natural_key(one), natural_key(other)
    assert (a < b) + (b < a) + (a == b) == 1


def test_a_link_out_of_the_scenes_folder_is_refused(tmp_path):
    (tmp_path / "secret.mkv").touch()
    folder = tmp_path / "scenes"
    folder.mkdir()
    (folder / "1.mkv").symlink_to(tmp_path / "secret.mkv")
    with pytest.raises(InputError, match="leads out"):
        scene_files(folder)
    (folder / "1.mkv").unlink()
    (folder / "2.mkv").touch()
    (folder / "1.mkv").symlink_to(folder / "2.mkv")
    assert [path.name for path in scene_files(folder)] == ["1.mkv", "2.mkv"]


@pytest.mark.parametrize("goal", ["nowhere.mkv", "3.mkv", "../elsewhere", "/", "../scenes-2/1.mkv"])
def test_a_link_that_leads_nowhere_or_out_is_no_scene_that_may_be_left_out(tmp_path, goal):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "scenes-2").mkdir()
    (tmp_path / "scenes-2" / "1.mkv").touch()
    folder = tmp_path / "scenes"
    folder.mkdir()
    (folder / "3.mkv").symlink_to(goal)
    with pytest.raises(InputError, match=r"leads out of its folder, or nowhere(.|\n)*3\.mkv"):
        scene_files(folder)


def test_a_folder_that_is_a_link_itself_is_its_owners_choice(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "1.mkv").touch()
    (tmp_path / "linked").symlink_to("real")
    assert [path.name for path in scene_files(tmp_path / "linked")] == ["1.mkv"]
