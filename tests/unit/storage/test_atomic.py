import json

import pytest

from tapemill.storage.atomic import staged, write_json


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
