from pathlib import Path

import pytest

from tapemill.tapes import as_inputs, spread


def test_braces_are_no_wildcards():
    assert as_inputs([Path("a.mkv"), Path("b{x}.mkv"), Path("c}{.mkv")]) == ["a.mkv", "c}{.mkv"]


@pytest.mark.parametrize(("count", "expected"), [(1, ["c"]), (2, ["b", "d"]), (5, list("abcde")), (9, list("abcde"))])
def test_witnesses_are_spread(count, expected):
    assert spread(list("abcde"), count) == expected
