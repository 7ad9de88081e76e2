"""What the doctor says of config, chain, profile, sheet and models."""

import os
import shutil
import time

import pytest

from tapemill.doctor import checks
from tests.support.project import DEMO_MODEL, ROOT

EVERYTHING = ("check_config", "check_chain", "check_sheet", "check_models")
COMPACT = "resources/models/demo-compact.safetensors"


def test_what_is_well_is_ok(patient):
    assert {finding.level for finding in patient.found(*EVERYTHING)} == {"ok"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("enhance:\n\tpreset: good\n", "the config is not valid YAML: line 2: "),
        ("enhance: {presett: good}\n", "did you mean 'preset'?"),
        ("- a\n- b\n", "no keys at its top level"),
        ("", "no keys at its top level"),
        ("enhance: {preset: [}\n", "the config is not valid YAML: line 1"),
        ("title: \x00\n", "the config cannot be read"),
    ],
)
def test_a_config_that_cannot_be_is_an_error_and_the_sheet_is_looked_at_all_the_same(patient, text, says):
    patient.path("config/config.yaml").write_text(text)
    assert says in patient.only("check_config").title
    assert patient.found("check_sheet")[-1].level == "ok"


def test_a_config_that_is_not_there_or_not_utf8_is_an_error(patient):
    patient.path("config/config.yaml").write_bytes(b"sheet: \xff\n")
    assert "the config cannot be read" in patient.only("check_config").title
    patient.path("config/config.yaml").unlink()
    missing = patient.only("check_config")
    assert missing.title == "there is no config here"
    assert "run in the folder that holds config/" in missing.remedy


def test_a_chain_that_cannot_be_is_an_error(patient):
    patient.configure(enhance={"chain": ["sharpen", "deinterlace"]})
    assert "deinterlace must be the first step" in patient.only("check_chain").title


def test_scenes_with_settings_of_their_own_are_checked_and_counted(patient):
    table = patient.path("config/scenes.tsv")
    table.write_text("tape\tscene\tpreset\none\t0000000\tnone\n")
    (finding,) = patient.found("check_chain")
    assert finding.facts == [("overrides", "1 rows in config/scenes.tsv")]
    table.write_text("tape\tscene\tpreset\nother\t0000000\tnone\n")
    assert "there is no tape 'other'" in patient.only("check_chain").title


def test_a_profile_that_is_not_there_is_an_error_that_names_those_there_are(patient):
    assert patient.found("check_profile") == []
    assert patient.found("check_profile", profile="profiles/cpu")[0].level == "ok"
    missing = patient.only("check_profile", profile="profiles/gpu")
    assert "no profile 'profiles/gpu'" in missing.title
    assert "profiles/arc2" in missing.remedy


def test_a_profile_without_what_the_workflow_relies_on_is_a_warning_each(patient):
    folder = patient.path("own")
    folder.mkdir()
    (folder / "config.yaml").write_text("cores: 2\nrerun-triggers: [mtime, code]\nnolock: false\n")
    warnings = patient.found("check_profile", level="warning", profile="own")
    assert ["rerun-triggers" in warnings[0].title, "nolock" in warnings[1].title] == [True, True]
    assert "rerun-incomplete" in warnings[2].title
    assert all("own/config.yaml" in finding.remedy for finding in warnings)
    (folder / "config.yaml").write_text("cores: [\n")
    assert "the profile cannot be read" in patient.only("check_profile", profile="own").title


def test_each_source_that_cannot_be_used_is_named(patient):
    os.mkfifo(patient.path("pipe"))
    patient.path("none").mkdir()
    patient.path("empty.mkv").write_bytes(b"")
    patient.path("leading").mkdir()
    patient.path("leading/out.mkv").symlink_to("/etc/passwd")
    patient.sheet(
        {"tape": "one", "source": "one.mkv"},
        {"tape": "two", "source": "gone.mkv"},
        {"tape": "three", "source": "pipe"},
        {"tape": "four", "source": "none"},
        {"tape": "five", "source": "empty.mkv"},
        {"tape": "six", "source": "leading"},
        {"tape": "demo", "source": "resources/demo/capture.mkv"},
    )
    errors = patient.found("check_sheet", level="error")
    said = ["'two' does not exist", "'three' is neither", "'four' holds no scene", "'five' is empty", "leads out"]
    assert len(errors) == len(said)
    assert all(words in finding.title for words, finding in zip(said, errors, strict=True))
    assert all(finding.remedy for finding in errors)
    assert "the demo tape is not drawn yet" in patient.found("check_sheet", level="ok")[0].title


def test_a_file_that_may_not_be_read_is_named(patient, monkeypatch):
    from pathlib import Path

    real = Path.open

    def refusing(path, *arguments, **options):
        # Root may read everything: the refusal is put where the kernel would speak.
        if path.name == "one.mkv":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", refusing)
    wrong = patient.only("check_sheet")
    assert wrong.title.endswith("a file of tape 'one' cannot be read: Permission denied")
    assert wrong.facts == [("file", "one.mkv")]


def test_a_capture_from_the_future_is_an_error(patient):
    later = time.time() + 7200
    os.utime(patient.path("one.mkv"), (later, later))
    wrong = patient.only("check_sheet")
    assert "lies in the future, by 2.0 hours" in wrong.title
    assert "`touch`" in wrong.remedy


def test_a_sheet_that_cannot_be_is_an_error_and_an_empty_one_a_warning(patient):
    patient.sheet({"tape": "a b", "source": "one.mkv"})
    assert "row 2 of config/tapes.tsv" in patient.only("check_sheet").title
    patient.sheet()
    assert "names no tape" in patient.only("check_sheet", level="warning").title
    patient.path("config/tapes.tsv").unlink()
    assert "cannot be read" in patient.only("check_sheet").title


def test_a_model_that_is_not_there_or_another_is_an_error(patient):
    patient.configure(subtitles={"model": "tiny"})
    missing = patient.only("check_models")
    assert missing.title == "the speech model tiny is not there"
    assert missing.remedy == "run `snakemake --profile profiles/cpu fetch_models` once"
    patient.configure()
    with patient.path(DEMO_MODEL).open("ab") as model:
        model.write(b"x")
    assert "not the one that was pinned" in patient.only("check_models").title


def test_networks_of_the_chain_are_looked_at_too(patient):
    patient.configure(enhance={"preset": "good"})
    assert patient.only("check_models").title == "the frame model demo-compact is not there"
    shutil.copy(ROOT / COMPACT, patient.path(COMPACT))
    found = patient.found("check_models", level="ok")
    assert [("licence", "MIT, as Tapemill") in finding.facts for finding in found] == [True, True]


def test_a_model_that_nobody_has_looked_into_is_an_error(patient):
    shutil.copy(ROOT / COMPACT, patient.path("own.safetensors"))
    patient.configure(enhance={"chain": ["deinterlace", {"network": {"model": "own.safetensors"}}]})
    assert "is not pinned yet" in patient.only("check_models").title


def test_a_licence_that_forbids_uses_is_a_warning(patient):
    shutil.copy(ROOT / COMPACT, patient.path(COMPACT))
    registry = patient.path("config/models.yaml")
    free, bound = (
        "licence: MIT, as Tapemill\n  notes: A very",
        "licence: CC-BY-NC, non-commercial use only\n  notes: A very",
    )
    assert registry.read_text().count(free) == 1
    registry.write_text(registry.read_text().replace(free, bound))
    patient.configure(enhance={"preset": "good"})
    hint = patient.only("check_models", level="warning")
    assert "restricted" in hint.title
    assert ("licence", "CC-BY-NC, non-commercial use only") in hint.facts


def test_a_model_that_was_set_aside_is_pointed_out(patient):
    patient.path("resources/models/tiny.pt.rejected").write_bytes(b"x")
    assert "set aside" in patient.only("check_models", level="warning").title


def test_no_key_in_an_address_of_the_registry_is_told(patient):
    import io

    from tapemill.doctor.findings import CheckOptions
    from tapemill.doctor.output import print_findings, print_json

    patient.path("config/models.yaml").write_text(
        "mine:\n  kind: speech\n  url: https://me:hunter22@host/x.pt?token=abcdefgh\n"
        "demo-en:\n  kind: speech\n  file: resources/models/demo-en.pt\n"
    )
    patient.configure(subtitles={"model": "mine"})
    for tell in (print_findings, print_json):
        stream = io.StringIO()
        tell(checks.run_checks(CheckOptions(), {"settings", "models", "tapes", "disk"}), stream)
        assert "models" in stream.getvalue()
        assert "hunter22" not in stream.getvalue()
        assert "abcdefgh" not in stream.getvalue()
