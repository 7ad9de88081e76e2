import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapemill.subtitles.line_breaking import balanced_lines, columns, in_one_line, units
from tapemill.subtitles.sanitise import safe_text, vtt_text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\x00b\x07c\x9bd", "abcd"),
        ("one\r\ntwo\rthree\u2028four\\Nfive", "one\ntwo\nthree\nfour\nfive"),
        ("one\n\n \ntwo", "one\ntwo"),
        ("1 --> 2", "1 → 2"),
        ("-<u></u>->", "-<u></u>->"),
        ("--<script>>", "→"),
        ("{\\an8}top {not an override}", "top {not an override}"),
        ("<I class=x>x</I> <font color=red>red</font>", "<i>x</i> red"),
        ("<b>open", "<b>open</b>"),
        ("<i><b>crossed</i></b>", "<i><b>crossed</b></i>"),
        ("</i>closed only", "closed only"),
        ("<script", "‹script"),
        ("<scr<b>ipt>alert(1)</script>", "‹scr<b>ipt>alert(1)</b>"),
        ("2 < 3 > 1 & I <3 you", "2 < 3 > 1 & I <3 you"),
        ("<!-- no --> yes", "yes"),
        ("\ufeffbom\ttab   many", "bom tab many"),
        ("ein halbes \ufffdZeichen\ufffd", "ein halbes Zeichen"),
    ],
)
def test_text_that_players_would_run_or_misread(text, expected):
    assert safe_text(text, markup=True) == expected


def test_without_markup_every_tag_goes():
    assert safe_text("<i>a</i> <b>b</b> <u>c</u>", markup=False) == "a b c"


@given(st.text(st.characters(codec=None) | st.sampled_from("<>/ib!-{}\\N\n"), max_size=40))
def test_safe_text_is_safe_and_stays_as_it_is(text):
    safe = safe_text(text, markup=True)
    assert "-->" not in safe
    assert "\n\n" not in safe
    assert not any(ord(c) < 32 and c != "\n" for c in safe)
    assert safe_text(safe, markup=True) == safe
    safe.encode()


def test_vtt_escapes_all_but_the_tags_it_shares():
    assert vtt_text("<i>A & B</i> < C > D <3") == "<i>A &amp; B</i> &lt; C &gt; D &lt;3"


@pytest.mark.parametrize(
    ("text", "width", "expected"),
    [
        ("short", 42, ["short"]),
        (
            "we are swimming at the lake with Grandma and Grandpa",
            42,
            ["we are swimming at the lake", "with Grandma and Grandpa"],
        ),
        (
            "This is Anna. She is swimming in the big lake today",
            42,
            ["This is Anna.", "She is swimming in the big lake today"],
        ),
        (
            "今日は湖で泳いでいます。おばあちゃんも一緒です。",
            30,
            ["今日は湖で泳いでいます。", "おばあちゃんも一緒です。"],
        ),
        ("x" * 50, 42, ["x" * 25, "x" * 25]),
    ],
)
def test_lines_are_balanced_and_broken_where_it_reads_best(text, width, expected):
    assert balanced_lines(units(text, width), width) == expected


def test_no_line_begins_with_closing_punctuation_or_a_mark_of_the_line_before():
    lines = balanced_lines(units("私は学校に行きました、そして友達に会いました。" * 2, 40), 40)
    assert not any(line[0] in "、。っゃ" for line in lines)
    thai = "สวัสดีครับวันนี้เราจะไปเที่ยวทะเลกับคุณยายและคุณตา"
    broken = balanced_lines(units(thai, 30), 30)
    assert "".join(broken) == thai
    assert not any(line[0] in "ะาำ" or "\u0e31" <= line[0] <= "\u0e3a" or line[-1] in "เแโใไ" for line in broken)


WORDS = st.lists(
    st.text(st.characters(categories=["L", "M", "N", "P", "S"]), min_size=1, max_size=60), min_size=1, max_size=20
)


@given(WORDS, st.integers(10, 60))
def test_units_hold_all_characters_and_fit_a_line(words, width):
    text = " ".join(words)
    parts = units(text, width)
    assert in_one_line(parts).replace(" ", "") == "".join(text.split())
    # A base character with more marks than a line has columns is no text.
    assert all(part.columns <= width or len(part.text) > width for part in parts)
    assert all(columns(line) <= width or len(line) > width for line in balanced_lines(parts, width))
