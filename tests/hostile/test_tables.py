"""Sheets, tables, locks and records that nobody would write by hand: one clear error, soon."""

import os

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tapemill.config.schema import load_config
from tapemill.config.tape_sheet import load_sheet
from tapemill.core.errors import ConfigError, InputError, ModelError, TapemillError
from tapemill.enhance.scene_overrides import read_overrides
from tapemill.media.capture_info import Capture
from tapemill.models import read_lock, read_registry
from tapemill.scenes import read_scenes
from tapemill.storage import untrusted_text
from tapemill.subtitles import read_language
from tests.hostile.time_limits import must_end

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGE_BOMB = "a: &a {x: 1}\n" + "".join(
    f"{name}: &{name} {{<<: [{', '.join([f'*{before}'] * 9)}]}}\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
EVIL_YAML = {
    "bomb": BOMB,
    "merge bomb": MERGE_BOMB,
    "itself": "a: &a [*a]\n",
    "object": "a: !!python/object/apply:os.system ['touch ran']\n",
    "object of a module": "!!python/module:os\n",
    "deep list": "[" * 500_000,
    "deep mapping": "{a: " * 200_000,
    "deep block": "".join(" " * depth + "a:\n" for depth in range(800)),
    "large": "a: " + "x" * (5 << 20),
    "twice": "a: {kind: speech, file: a}\na: {kind: frame, file: b, scale: 2}\n",
    "number": f"a: {{kind: frame, file: a, scale: {'9' * 5000}}}\n",
    "date": "a: 2024-13-45\n",
    "key": "? [1, 2]\n: 3\n",
    "number as key": "1: {kind: speech, file: a}\n",
    "NUL": "a: {kind: speech, file: \0}\n",
    "tab": "a:\n\t- b\n",
    "nothing but a word": "speech\n",
    "list": "- a\n- b\n",
}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with must_end():
        yield
    assert not (tmp_path / "ran").exists()


def refused(call, kind=ConfigError, *words):
    with pytest.raises(kind) as caught:
        call()
    told = str(caught.value)
    assert len(told) < 2000
    for word in words:
        assert word in told
    return told


@pytest.mark.parametrize("text", EVIL_YAML.values(), ids=EVIL_YAML)
def test_yaml_of_models(tmp_path, text):
    path = tmp_path / "a.yaml"
    path.write_text(text)
    refused(lambda: read_registry(path), ConfigError, "a.yaml")
    refused(lambda: read_lock(path), ModelError, "a.yaml")


def test_aliases_can_explode_where_nobody_counts(tmp_path):
    # What the refusal is for: the loader itself takes no offence.
    values = yaml.safe_load(BOMB)
    refused(lambda: untrusted_text.check_size(values, "it", ConfigError), ConfigError, "more than 20000 values")
    refused(lambda: load_config({"enhance": {"chain": values["i"]}}), ConfigError, "aliases")
    deep: list = []
    for _ in range(100):
        deep = [deep]
    refused(lambda: load_config({"enhance": {"chain": deep}}), ConfigError, "32 deep")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "latin-1"])
def test_wrong_encodings_are_named(tmp_path, encoding):
    sheet = tmp_path / "tapes.tsv"
    (tmp_path / "a.mkv").touch()
    sheet.write_bytes("tape\tsource\ttitle\nT\ta.mkv\tGroßmutter\n".encode(encoding))
    word = {"utf-16": "UTF-16", "latin-1": "row 2"}.get(encoding, "NUL")
    # UTF-32 begins like UTF-16.
    refused(lambda: load_sheet(sheet), ConfigError, "tapes.tsv", "UTF-16" if encoding == "utf-32" else word)
    lock = tmp_path / "models.lock"
    lock.write_bytes("# Großmutter\na: {file: a, sha256: b}\n".encode(encoding))
    refused(lambda: read_lock(lock), ModelError, "models.lock")


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path):
    (tmp_path / "a.mkv").touch()
    (tmp_path / "tapes.tsv").write_bytes(b"\xef\xbb\xbftape\tsource\r\nT\ta.mkv\r\n")
    assert str(load_sheet(tmp_path / "tapes.tsv")["T"].source) == "a.mkv"


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("tape\tsource\t" + "\t".join(f"c{n}" for n in range(100_000)) + "\n", "more than 65536 bytes"),
        ("\t".join(f"c{n}" for n in range(1000)) + "\n", "unknown column 'c0'"),
        ("tape\tsource\ttape\nT\ta\tU\n", "'tape' is there twice"),
        ("tape\tsource\nT\t" + "x" * 70_000 + "\n", "line 2 has more than 65536 bytes"),
        ("tape\tsource\nT\t" + "x" * 300 + "\n", "cannot be read"),
        ("tape\tsource\n" + "T\ta\n" * 30_000, "30001 lines"),
        ("tape\tsource\n" + "\n" * (5 << 20), "larger than 4 MiB"),
        ("tape\tsource\nT\ta.mkv\0.txt\n", "NUL"),
        ("tape\tsource\nT\ta\tb\tc\n", "more cells than"),
        ("tape\tsource\n\tx\n", "tape must not be empty"),
    ],
)
def test_tables_beyond_all_reason(tmp_path, content, word):
    (tmp_path / "tapes.tsv").write_text(content)
    refused(lambda: load_sheet(tmp_path / "tapes.tsv"), ConfigError, "tapes.tsv", word)


def test_a_short_row_says_nothing_about_the_rest(tmp_path):
    (tmp_path / "a.mkv").touch()
    (tmp_path / "tapes.tsv").write_text("tape\tsource\ttitle\tdate\tlanguage\nT\ta.mkv\n")
    tape = load_sheet(tmp_path / "tapes.tsv")["T"]
    assert (tape.title, tape.date, tape.language) == ("T", "", "auto")


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "T01/../../x",
        ".",
        "..",
        "/etc",
        "a/b",
        "a\\b",
        "T.01",
        "Т01",
        "T\u200b1",
        "T1\u0301",
        "-x",
        "~",
        "x" * 65,
    ],
)
def test_ids_that_are_more_than_a_word(tmp_path, name):
    (tmp_path / "a.mkv").touch()
    (tmp_path / "tapes.tsv").write_text(f"tape\tsource\n{name}\ta.mkv\n")
    refused(lambda: load_sheet(tmp_path / "tapes.tsv"), ConfigError, "row 2")


def test_ids_that_differ_in_capitals_alone(tmp_path):
    (tmp_path / "a.mkv").touch()
    (tmp_path / "tapes.tsv").write_text("tape\tsource\nT01\ta.mkv\nt01\ta.mkv\n")
    refused(lambda: load_sheet(tmp_path / "tapes.tsv"), ConfigError, "'T01' and 't01' differ only in capital")


@pytest.mark.parametrize("character", ["\x1b[2J", "\x07", "\x85", "\u202e", "\u2066", "\u2028", "\udce4"])
def test_titles_that_would_play_tricks(tmp_path, character):
    (tmp_path / "a.mkv").touch()
    text = f"tape\tsource\ttitle\nT\ta.mkv\tSummer {character}1994\n"
    (tmp_path / "tapes.tsv").write_bytes(text.encode("utf-8", "surrogateescape"))
    refused(lambda: load_sheet(tmp_path / "tapes.tsv"), ConfigError, "row 2", "title", "may not stand there")


@pytest.mark.parametrize("title", ['<b>Omi</b> & "Opa" {x} %s $(y)', "קיץ \u200f1994", "夏 👩‍👩‍👧", "a=b;c#d\\e"])
def test_titles_of_all_languages_are_fine(tmp_path, title):
    (tmp_path / "a.mkv").touch()
    (tmp_path / "tapes.tsv").write_text(f"tape\tsource\ttitle\nT\ta.mkv\t{title}\n")
    assert load_sheet(tmp_path / "tapes.tsv")["T"].title == title


def test_sources_that_are_no_files(tmp_path):
    os.mkfifo(tmp_path / "pipe.mkv")
    (tmp_path / "loop.mkv").symlink_to("loop.mkv")
    for source, word in (("pipe.mkv", "neither a file nor a folder"), ("/dev/zero", "neither"), ("loop.mkv", "exist")):
        (tmp_path / "tapes.tsv").write_text(f"tape\tsource\nT\t{source}\n")
        refused(lambda: load_sheet(tmp_path / "tapes.tsv"), ConfigError, "row 2", source, word)


def test_a_capture_that_is_a_link_is_its_owners_choice(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.mkv").touch()
    (tmp_path / "a.mkv").symlink_to("elsewhere/a.mkv")
    (tmp_path / "tapes.tsv").write_text("tape\tsource\nT\ta.mkv\n")
    assert "T" in load_sheet(tmp_path / "tapes.tsv")


@pytest.mark.parametrize("number", [".nan", "-.inf", ".inf", "1e400", "9" * 400])
def test_numbers_that_are_none(number):
    refused(lambda: load_config(yaml.safe_load(f"audio: {{hiss_db: {number}}}")), ConfigError, "audio.hiss_db")


@pytest.mark.parametrize(
    "cell", ["!!python/object/apply:os.system ['touch ran']", "&a [*a]", "[" * 60_000, "2024-99-99", "'"]
)
def test_a_cell_of_the_scene_settings(tmp_path, cell):
    (tmp_path / "scenes.tsv").write_text(f"tape\tscene\tsharpen\nT\t0000001\t{cell}\n")
    refused(lambda: read_overrides(tmp_path / "scenes.tsv", ["T"]), ConfigError, "row 2", "sharpen")


RECORDS = [
    b"", b"[]", b"null", b"{", b'{"kind": "file"}', b"[" * 200_000, b'{"a":' * 100_000, b"\xff\xfe{}", b"\0" * 100,
    b'{"language": 3}', b'{"frames": ' + b"9" * 5000 + b"}", b"\xff{}",
]  # fmt: skip


@pytest.mark.parametrize("data", RECORDS)
def test_damaged_records_say_what_to_do(tmp_path, data):
    path = tmp_path / "record.json"
    path.write_bytes(data)
    assert "what to do" in refused(lambda: Capture.read(path), InputError, "record.json")
    refused(lambda: read_language(path), InputError, "record.json")
    with pytest.raises(FileNotFoundError):
        Capture.read(tmp_path / "missing.json")


@pytest.mark.parametrize("name", ["../../x", "0000001", "0", "0000000/../x", ""])
def test_a_scene_table_names_scenes_by_their_first_frames(tmp_path, name):
    columns = "scene\tstart_frame\tstop_frame\tstart_s\tstop_s\trate\tstart_exact\tstop_exact"
    (tmp_path / "scenes.tsv").write_text(f"{columns}\n{name}\t0\t25\t0\t1\t25/1\t0/1\t1/1\n")
    refused(lambda: read_scenes(tmp_path / "scenes.tsv"), InputError, "scenes.tsv", "delete it")
    for rate in ("0/1", "1/0", "-25/1", "nan", "9" * 5000):
        (tmp_path / "scenes.tsv").write_text(f"{columns}\n0000000\t0\t25\t0\t1\t{rate}\t0/1\t1/1\n")
        refused(lambda: read_scenes(tmp_path / "scenes.tsv"), InputError, "scenes.tsv")


QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
WORDS = st.sampled_from(
    ["tape", "source", "scene", "start_frame", "rate", "\t", "\n", "\r", "T01", "a.mkv", "..", "kind: speech", ": ",
     "&a", "*a", "{", "[", "'", '"', "- ", "?", "|", "sha256: ", "file: x", "\x00", "\ufeff", "25/1", "0", "1e9", "-->"]
)  # fmt: skip
KEYS = st.text(max_size=8)
LINES = st.lists(WORDS | st.text(max_size=5), max_size=40).map("".join)


@QUICK
@given(st.binary(max_size=300) | LINES.map(lambda text: text.encode("utf-8", "surrogatepass")))
@example(b"tape\tsource\n\xef\xbb\xbf\t\n")
def test_any_bytes_are_read_or_refused(tmp_path, data):
    path = tmp_path / "any"
    path.write_bytes(data)
    for read in (load_sheet, read_lock, read_registry, read_scenes, Capture.read, read_language,
                 lambda path: read_overrides(path, ["T01"])):  # fmt: skip
        try:
            read(path)
        except TapemillError as error:
            assert len(str(error)) < 5000


def values(numbers):
    leaves = st.none() | st.booleans() | numbers | st.integers() | st.text(max_size=5)
    return st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3))


@QUICK
@given(values(st.floats()))
def test_any_value_in_the_config_is_taken_or_refused(value):
    for section in ("capture", "enhance", "sheet", "nonsense"):
        for config in ({section: value}, {section: {"chain": value}}):
            try:
                load_config(config)
            except ConfigError:
                continue


@QUICK
@given(values(st.floats(allow_nan=False)))
def test_plain_yaml_is_read_as_ever(value):
    text = yaml.safe_dump(value, default_flow_style=None, allow_unicode=True)
    if "&id" not in text and "!!" not in text:
        assert untrusted_text.parse_yaml(text) == yaml.safe_load(text)
