import pickle
from pathlib import Path

import pytest

from tapemill.core import errors


def test_message_names_file_tool_exit_code_last_words_and_remedy():
    error = errors.ToolFailed(
        "ffmpeg failed",
        file=Path("T01.avi"),
        tool="ffmpeg",
        tool_exit_code=69,
        stderr_tail=["moov atom not found"],
        remedy="capture it again",
    )
    text = str(error)
    for part in ("ffmpeg failed", "T01.avi", "exit code 69", "moov atom not found", "capture it again"):
        assert part in text


def test_a_name_that_is_not_utf8_can_be_printed():
    name = b"Weihnachten \xe4.avi".decode("utf-8", "surrogateescape")
    str(errors.InputError("missing", file=name)).encode("utf-8")


def test_a_name_stays_in_its_line_and_gives_no_orders_to_the_terminal():
    text = str(errors.InputError("missing", file=Path("a\n  what to do: rm\x1b[2J\r\u202e.avi")))
    assert text.split("\n")[1:] == [r"  file: a\n  what to do: rm\x1b[2J\r\u202e.avi"]


@pytest.mark.parametrize("kind", [errors.ToolFailed, errors.ConfigError, errors.ToolKilled])
def test_errors_survive_the_way_between_processes(kind):
    error = kind("what", file=Path("f"), tool="t", tool_exit_code=1, stderr_tail=["a"], remedy="r")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert str(copy) == str(error)


def test_consequence_is_told_by_the_exit_code():
    assert {errors.TransientError.exit_code, errors.SceneError.exit_code, errors.FatalError.exit_code} == {75, 65, 78}
    assert issubclass(errors.ToolKilled, errors.TransientError)
    assert issubclass(errors.GateError, errors.SceneError)
    assert issubclass(errors.ConfigError, errors.FatalError)
