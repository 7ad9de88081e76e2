import logging
from types import SimpleNamespace

import pytest

from smalldisk import small_disk
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


def test_a_log_that_cannot_be_written_ends_the_job_before_its_work(tmp_path, capsys):
    with small_disk(tmp_path / "disk", "1m") as disk:
        disk.lock()
        with pytest.raises(SystemExit) as caught:
            script.run(lambda _: pytest.fail("the job began"), job(disk.path))
    assert caught.value.code == 78
    told = capsys.readouterr().err
    assert "NotWritable" in told
    assert "what to do" in told
    assert "Traceback" not in told


def test_a_log_on_a_full_disk_loses_lines_without_a_traceback_for_each(tmp_path, capsys):
    def main(_):
        disk.fill()
        for _ in range(2000):
            logging.getLogger("tapemill").info("a line that finds no room")
        raise InputError("the reason")

    with small_disk(tmp_path / "disk", "1m") as disk, pytest.raises(SystemExit) as caught:
        script.run(main, job(disk.path))
    assert caught.value.code == 78
    assert "Traceback" not in capsys.readouterr().err


def test_a_job_without_room_does_not_begin(tmp_path):
    with small_disk(tmp_path / "disk", "1m") as disk:
        of_disk = job(tmp_path)
        of_disk.config |= {"disk": {"reserve_gb": 0}}
        of_disk.output, of_disk.resources = [str(disk.path / "a.mkv")], {"writes_mb": 2}
        with pytest.raises(SystemExit) as caught:
            script.run(lambda _: pytest.fail("the job began"), of_disk)
    assert caught.value.code == 78
    assert "DiskFull: this job needs up to 2.0 MB" in (tmp_path / "logs" / "a.log").read_text()


def test_warnings_reach_the_terminal_and_the_log(tmp_path, capsys):
    script.run(lambda _: logging.getLogger("tapemill.capture").warning("variable rate"), job(tmp_path))
    assert "variable rate" in capsys.readouterr().err
    assert "variable rate" in (tmp_path / "logs" / "a.log").read_text()
