import logging
from types import SimpleNamespace

import pytest

from tapemill import script
from tapemill.errors import InputError


@pytest.fixture(autouse=True)
def handlers():
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield
    for handler in set(root.handlers) - set(before):
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)


def job(tmp_path):
    return SimpleNamespace(rule="probe_capture", log=[str(tmp_path / "logs" / "a.log")], config={"ffmpeg": None})


def test_an_error_on_purpose_ends_with_its_exit_code_and_its_message_alone(tmp_path, capsys):
    def main(_):
        raise InputError("this file has no picture", file="a\udce4.wav", remedy="check the sheet")

    with pytest.raises(SystemExit) as caught:
        script.run(main, job(tmp_path))
    assert caught.value.code == 78
    text = (tmp_path / "logs" / "a.log").read_text()
    assert "InputError: this file has no picture" in text
    assert "check the sheet" in text
    assert "Traceback" not in text
    assert "InputError" not in capsys.readouterr().err


def test_a_fault_of_ours_keeps_its_traceback(tmp_path):
    with pytest.raises(ZeroDivisionError):
        script.run(lambda _: 1 / 0, job(tmp_path))
    assert "Traceback" in (tmp_path / "logs" / "a.log").read_text()


def test_warnings_reach_the_terminal_and_the_log(tmp_path, capsys):
    script.run(lambda _: logging.getLogger("tapemill.capture").warning("variable rate"), job(tmp_path))
    assert "variable rate" in capsys.readouterr().err
    assert "variable rate" in (tmp_path / "logs" / "a.log").read_text()
