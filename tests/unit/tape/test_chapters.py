import itertools
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapemill.core.timing import FrameRange
from tapemill.tape import TapeDescription, TapeSettings, plan_chapters
from tapemill.tape.tags import container_tags, language_code

RATE = Fraction(30000, 1001)


def settings(shortest_s, *, chapters=True):
    return TapeSettings(container="mkv", chapters=chapters, chapter_shortest_s=shortest_s, subtitles_on=False)


def spans(lengths):
    starts = [sum(lengths[:k]) for k in range(len(lengths) + 1)]
    return [FrameRange(a, b) for a, b in itertools.pairwise(starts)]


@given(st.lists(st.integers(1, 900), min_size=1, max_size=40), st.integers(0, 60))
def test_chapters_begin_with_scenes_cover_the_tape_and_are_long_enough(lengths, shortest_s):
    scenes = spans(lengths)
    found = plan_chapters(spans=scenes, rate=RATE, settings=settings(shortest_s))
    starts = [chapter.start_s for chapter in found]
    assert starts[0] == 0
    assert set(starts) <= {span.start_s(RATE) for span in scenes}
    ends = [*starts[1:], scenes[-1].stop_s(RATE)]
    if len(found) > 1:
        assert all(end - start >= shortest_s for start, end in zip(starts, ends, strict=True))
    if shortest_s == 0:
        assert len(found) == len(scenes)


def test_titles_say_which_scenes_a_chapter_holds():
    found = plan_chapters(spans=spans([300, 900, 100, 100, 100]), rate=Fraction(10), settings=settings(30))
    assert [(chapter.start_s, chapter.title) for chapter in found] == [
        (0, "Scene 1"),
        (30, "Scene 2"),
        (120, "Scenes 3–5"),
    ]


def test_no_chapters_if_none_are_asked_for():
    assert plan_chapters(spans=spans([300, 300]), rate=RATE, settings=settings(1, chapters=False)) == []


@pytest.mark.parametrize(
    ("language", "matroska", "mp4"),
    [
        ("de", "ger", "deu"),
        ("ger", "ger", "deu"),
        ("deu", "ger", "deu"),
        ("en", "eng", "eng"),
        ("zh", "chi", "zho"),
        ("jw", "jav", "jav"),  # Whisper's own code of Javanese
        ("haw", "haw", "haw"),
        ("pt-BR", "por", "por"),
        ("auto", "und", "und"),
        ("", "und", "und"),
        ("not a language", "und", "und"),
    ],
)
def test_languages_as_the_container_wants_them(language, matroska, mp4):
    assert language_code(language, "mkv") == matroska
    assert language_code(language, "mp4") == mp4


def test_tags_leave_out_what_nobody_said():
    facts = TapeDescription(title="A", tags={"frames": "100", "model": ""})
    assert container_tags(facts, "mkv") == {"title": "A", "TAPEMILL_FRAMES": "100"}
    assert container_tags(facts, "mp4") == {"title": "A", "comment": "TAPEMILL_FRAMES=100"}
    assert container_tags(TapeDescription(), "mp4") == {}
