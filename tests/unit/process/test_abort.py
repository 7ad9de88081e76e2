import pytest

from tapemill.process import abort, heartbeat
from tapemill.process.abort import AbortReason


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_the_first_reason_counts_and_a_run_without_one_goes_on():
    assert abort.abort_reason("run") is None
    abort.request_abort("run", AbortReason("the disk is full", "logs/a.log"))
    abort.request_abort("run", AbortReason("a later one", "logs/b.log"))
    assert abort.abort_reason("run") == AbortReason("the disk is full", "logs/a.log")
    assert abort.abort_reason("other") is None
    assert [path.name for path in (heartbeat.NOTES / "run").iterdir()] == ["stop.json"]


def test_a_marker_that_cannot_be_written_hides_no_error():
    heartbeat.NOTES.parent.mkdir()
    heartbeat.NOTES.write_text("a file where a folder should be")
    abort.request_abort("run", AbortReason("the disk is full", ""))
