import math
from dataclasses import replace
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from tapemill.records.speech import Segment, Word
from tapemill.subtitles.cue_layout import layout_cues
from tapemill.subtitles.line_breaking import columns
from tapemill.subtitles.sanitise import safe_text
from tapemill.subtitles.srt import Cue
from tests.support.media.speech import SETTINGS

PAL = Fraction(25)
GAP_MS = 80


def segment(start_ms, stop_ms, text, words=()):
    return Segment(start_ms, stop_ms, text, -0.2, 0.1, 1.2, 0.0, tuple(words))


def lay(*segments, frames=750, rate=PAL, **changes):
    return layout_cues(segments, frames=frames, rate=rate, settings=replace(SETTINGS, **changes))


def test_a_segment_that_fits_is_one_cue_at_its_times():
    assert lay(segment(3200, 5660, "Look at Anna.")) == [Cue(3200, 5660, "Look at Anna.")]


def test_a_short_word_stays_for_the_shortest_time():
    assert lay(segment(1000, 1200, "Yes.")) == [Cue(1000, 1830, "Yes.")]


def test_reading_time_is_taken_from_the_pause_that_follows_then_from_the_one_before():
    text = "Fifty characters a second are more than one reads."
    assert lay(segment(5000, 6000, text))[0].stop_ms == 7500
    [_, fast] = lay(segment(0, 1000, "First."), segment(5000, 6000, text), frames=160)
    assert (fast.start_ms, fast.stop_ms) == (4600, 6320)


def test_no_cue_stays_longer_than_the_longest_nor_past_the_scene():
    assert lay(segment(1000, 29_000, "Hm")) == [Cue(1000, 8000, "Hm")]
    assert lay(segment(28_000, 31_000, "Bye.")) == [Cue(28_000, 29_920, "Bye.")]
    assert lay(segment(29_900, 30_000, "Bye.")) == [Cue(29_090, 29_920, "Bye.")]


def test_there_is_a_gap_before_the_next_cue():
    cues = lay(segment(1000, 3000, "One two three."), segment(3000, 5000, "Four five six."))
    assert [(cue.start_ms, cue.stop_ms) for cue in cues] == [(1000, 2920), (3000, 5000)]


def test_what_follows_too_soon_shares_a_cue():
    assert lay(segment(1000, 1300, "Yes."), segment(1400, 3000, "No, come here.")) == [
        Cue(1000, 3000, "Yes. No, come here.")
    ]


LONG = (
    "First we went to the lake with Grandma and Grandpa. "
    "Then Peter fell into the water, and everybody laughed about it."
)


def test_long_text_is_divided_between_sentences():
    cues = lay(segment(0, 11_400, LONG))
    assert [cue.text.replace("\n", " ") for cue in cues] == [LONG[:51], LONG[52:]]
    assert cues[1].start_ms == 11_400 * len(LONG[:51].replace(" ", "")) // len(LONG.replace(" ", ""))


def test_long_text_is_divided_by_word_times_if_there_are_any():
    said = LONG.split()
    times = [*range(0, 1000, 100), *range(8000, 9100, 100)]
    words = [Word(start, start + 100, f" {word}", 0.9) for start, word in zip(times, said, strict=True)]
    cues = lay(segment(0, 11_400, LONG, words))
    assert cues[1].start_ms == 8000
    # The reading time of the first goes into the pause.
    assert cues[0].stop_ms == 51 * 50


def test_text_spoken_over_more_than_the_longest_time_is_divided():
    cues = lay(segment(0, 8_500, "Blow out the candles, Emma."))
    assert [cue.text for cue in cues] == ["Blow out the candles,", "Emma."]


def test_languages_without_spaces():
    text = "今日はおばあちゃんと一緒に湖で泳いでいます。とても楽しいですね。"
    text += "明日はみんなで動物園に行って、ライオンを見ましょう。"
    cues = lay(segment(0, 12_000, text))
    assert "".join(cue.text.replace("\n", "") for cue in cues) == text
    assert all(columns(line) <= 42 for cue in cues for line in cue.text.split("\n"))
    assert cues[0].text.endswith("。")


def test_nothing_said_gives_no_cues():
    assert lay() == []


def test_a_scene_too_short_for_its_text_shows_all_of_it_inside():
    text = " ".join(f"word{number}" for number in range(100))
    cues = lay(segment(0, 100, text), frames=3)
    assert " ".join(cue.text.replace("\n", " ") for cue in cues) == text
    assert cues[-1].stop_ms <= 120


LETTERS = "abcdefghijklmnop .,!?’-今日は湖で。、 กา่ ป&<>{}"
SEGMENTS = st.lists(
    st.builds(
        segment,
        st.integers(-500, 31_000),
        st.integers(0, 31_000),
        st.text(LETTERS, max_size=200),
    ).map(lambda s: replace(s, stop_ms=s.start_ms + s.stop_ms % 12_000)),
    max_size=12,
)


def with_words(segments):
    return [
        replace(
            one,
            words=tuple(
                Word(one.start_ms + 90 * n, min(one.start_ms + 90 * n + 80, one.stop_ms), f" {word}", 0.5)
                for n, word in enumerate(one.text.split())
            ),
        )
        for one in segments
    ]


@settings(max_examples=150, deadline=None)
@given(
    SEGMENTS,
    st.booleans(),
    st.integers(1, 900),
    st.sampled_from([Fraction(25), Fraction(30000, 1001), Fraction(50), Fraction(15)]),
    st.integers(0, 5),
)
def test_whatever_was_said_the_hard_rules_hold(segments, timed_words, frames, rate, gap_frames):
    chosen = replace(SETTINGS, gap_frames=gap_frames)
    cues = layout_cues(with_words(segments) if timed_words else segments, frames=frames, rate=rate, settings=chosen)
    text = "".join(safe_text(s.text, markup=False) for s in sorted(segments, key=lambda s: s.start_ms))
    assert "".join("".join(cue.text.split()) for cue in cues) == "".join(text.split())
    gap_ms = math.ceil(gap_frames * 1000 / rate)
    shown = frames - gap_frames if frames > gap_frames else frames
    edges = [-gap_ms, *(edge for cue in cues for edge in (cue.start_ms, cue.stop_ms))]
    assert all(start - stop >= gap_ms for stop, start in zip(edges[::2], edges[1::2], strict=False))
    assert all(cue.stop_ms <= shown * 1000 / rate for cue in cues)
    room_ms = (math.floor(shown * 1000 / rate) - (len(cues) - 1) * gap_ms) // max(len(cues), 1)
    assert all(min(830, room_ms) <= cue.stop_ms - cue.start_ms <= 7000 for cue in cues)
    assert all(columns(line) <= 42 for cue in cues for line in cue.text.split("\n"))
    crowded = any(len(cue.text.split("\n")) > 2 for cue in cues)
    # More than two lines only where one more cue would not have found a frame to itself.
    assert not crowded or (math.floor(shown * 1000 / rate) - len(cues) * gap_ms) // (len(cues) + 1) < 1000 / rate
