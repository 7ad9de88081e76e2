"""Abort marker: the first reason counts, the run notices it, and no disk hides the error that is the reason."""

import threading

import pytest

from tapemill.process import abort, heartbeat
from tapemill.process.abort import AbortReason
from tests.support.small_disk import small_disk

FIRST = AbortReason("DiskFull: the disk is full\n  what to do: free some space", "logs/a.log")


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_the_first_reason_counts_and_nothing_else_is_left():
    assert abort.abort_reason("1-2") is None
    abort.request_abort("1-2", FIRST)
    abort.request_abort("1-2", AbortReason("a later one", "logs/b.log"))
    assert abort.abort_reason("1-2") == FIRST
    assert [path.name for path in (heartbeat.NOTES / "1-2").iterdir()] == ["stop.json"]


def test_another_run_is_not_aborted():
    abort.request_abort("1-2", FIRST)
    assert abort.abort_reason("1-3") is None
    assert abort.abort_reason(None) is None


def test_a_name_that_is_not_utf8_is_no_obstacle():
    reason = AbortReason("no such file: b\udce4d", "")
    abort.request_abort("1-2", reason)
    assert abort.abort_reason("1-2") == reason


def test_a_full_disk_aborts_the_run_without_the_reason(tmp_path, monkeypatch):
    with small_disk(tmp_path / "disk", "64k") as disk:
        monkeypatch.chdir(disk.path)
        (heartbeat.NOTES / "1-2").mkdir(parents=True)
        disk.fill()
        abort.request_abort("1-2", FIRST)
        assert abort.abort_reason("1-2") == AbortReason("an error that concerns all jobs", "")
        monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("is_run_known", [True, False])
def test_a_disk_that_takes_no_marker_hides_no_error(tmp_path, monkeypatch, caplog, is_run_known):
    with small_disk(tmp_path / "disk", "64k") as disk:
        monkeypatch.chdir(disk.path)
        if is_run_known:
            (heartbeat.NOTES / "1-2").mkdir(parents=True)
        disk.lock()
        abort.request_abort("1-2", FIRST)
        assert "cannot be written" in caplog.text
        assert abort.abort_reason("1-2") is None
        monkeypatch.chdir(tmp_path)


def test_a_file_where_the_folder_of_markers_should_be_hides_no_error(caplog):
    heartbeat.NOTES.parent.mkdir()
    heartbeat.NOTES.write_text("a file")
    abort.request_abort("1-2", FIRST)
    assert "cannot be written" in caplog.text


def test_a_marker_that_cannot_be_read_now_is_none():
    # As good as a network drive that fails: the folder is none.
    heartbeat.NOTES.mkdir(parents=True)
    (heartbeat.NOTES / "1-2").touch()
    assert abort.abort_reason("1-2") is None


def test_the_run_notices_an_abort_once(monkeypatch):
    monkeypatch.setattr(abort, "POLL_INTERVAL_S", 0.01)
    calls, noticed = [], threading.Event()

    def then():
        calls.append(threading.current_thread().name)
        noticed.set()

    abort.watch("1-2", then)
    assert not calls
    abort.request_abort("1-2", FIRST)
    assert noticed.wait(20)
    assert calls == ["fatal"]
