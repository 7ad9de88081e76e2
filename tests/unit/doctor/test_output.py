import io
import json

import pytest

from tapemill.doctor.findings import error, ok, warning
from tapemill.doctor.output import print_findings, print_json, redact

KEY = "s3cr3t-Va1ue"


@pytest.mark.parametrize(
    "text",
    [
        f"https://user:{KEY}@host/a/model.pth",
        f"https://{KEY}@host/model.pth",
        f"https://host/model.pth?X-Amz-Signature={KEY}&more=1",
        f"s3://bucket/model.pth#{KEY}",
        f"snakemake --config hf_token={KEY} all",
        f"snakemake --api-key {KEY} all",
        f"PASSWORD: {KEY}",
        f'{{"access_key": "{KEY}"}}',
    ],
)
def test_a_secret_is_not_told(text):
    told = redact(text, {})
    assert KEY not in told
    assert "…" in told


def test_what_the_environment_keeps_secret_is_not_told_wherever_it_stands():
    environ = {"HF_TOKEN": KEY, "AWS_SECRET_ACCESS_KEY": "another-one", "HOME": "/home/me", "MY_PASSWORD": "no"}
    assert redact(f"a {KEY}b, another-one, /home/me no", environ) == "a …b, …, /home/me no"


@pytest.mark.parametrize(
    "text",
    [
        "https://host/a/model.pth",
        "the address https://host/x, and file:///y",
        "row 3 of config/tapes.tsv: the source of tape 'keys' does not exist",
        "set enhance: encoder: libx264",
        "the config: keys of the section",
    ],
)
def test_what_is_no_secret_stays(text):
    assert redact(text, {}) == text


FOUND = [
    ("a", ok("fine", [("file", "x\x1b[31m\ny")])),
    ("b", warning(f"see https://u:{KEY}@h/p", f"use password={KEY}")),
    ("c", error("wrong", "mend it", [("said", f"token={KEY}")])),
]


def test_lines_are_single_and_say_what_to_do():
    stream = io.StringIO()
    assert print_findings(FOUND, stream) == 1
    told = stream.getvalue()
    assert KEY not in told
    assert "\x1b" not in told
    assert told.splitlines() == [
        "ok      fine",
        "        file          x\\x1b[31m\\ny",
        "warning see https://…@h/p",
        "        what to do: use password=…",
        "error   wrong",
        "        said          token=…",
        "        what to do: mend it",
        "",
        "1 error, 1 warning: a run would fail",
    ]


def test_warnings_alone_are_no_failure():
    stream = io.StringIO()
    assert print_findings(FOUND[:2], stream) == 0
    assert stream.getvalue().splitlines()[-1] == "nothing found that a run would fail for, 1 warning"


def test_a_terminal_of_few_letters_is_written_to():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    assert print_findings([("a", ok("tape \udcff Łódź"))], stream) == 0
    stream.flush()
    assert b"ok      tape" in raw.getvalue()


def test_json_says_the_same():
    stream = io.StringIO()
    assert print_json(FOUND, stream) == 1
    assert KEY not in stream.getvalue()
    told = json.loads(stream.getvalue())
    assert (told["errors"], told["warnings"]) == (1, 1)
    assert told["findings"][2] == {
        "subject": "c",
        "level": "error",
        "title": "wrong",
        "facts": [["said", "token=…"]],
        "remedy": "mend it",
    }
    assert print_json(FOUND[:2], io.StringIO()) == 0
