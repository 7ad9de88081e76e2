"""Names that programs might take for something else: through every stage of the library, as capture and as folder."""

import pytest

from tapemill.core.errors import InputError, ToolFailed
from tapemill.media.ffmpeg import runner as ffmpeg
from tests.hostile.all_stages import restore
from tests.hostile.file_names import HOSTILE
from tests.support.media.frame_codes import make_capture


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    path = tmp_path_factory.mktemp("capture") / "a.mkv"
    make_capture(path, frames=12, size=(64, 48))
    return path


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if place % 4 == 0 else pytest.mark.long) for place, name in enumerate(HOSTILE)]
)
def test_a_capture_in_a_folder_of_the_same_name_becomes_a_tape(tmp_path, monkeypatch, capture, name):
    monkeypatch.chdir(tmp_path)
    source = tmp_path / name
    source.write_bytes(capture.read_bytes())
    folder = tmp_path / "made" / name
    folder.mkdir(parents=True)
    before = set(tmp_path.rglob("*"))
    tape = restore(source, folder, preset="none")
    assert tape.exists()
    made = set(tmp_path.rglob("*")) - before
    assert all(path.parent == folder for path in made)
    assert not any(path.name.startswith(".") for path in made)


@pytest.mark.parametrize("name", HOSTILE)
def test_an_error_names_such_a_file_in_one_line_that_any_terminal_can_show(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"no film")
    with pytest.raises(InputError) as unread:
        restore(path, tmp_path / "made", preset="none")
    with pytest.raises(ToolFailed) as failed:
        ffmpeg.run([*ffmpeg.input_args(path), "-f", "null", "-"], concerns=path, timeout_s=30)
    for caught in (unread, failed):
        (line,) = (line for line in str(caught.value).split("\n") if line.startswith("  file: "))
        assert line.isprintable(), line
        assert str(tmp_path) in line
