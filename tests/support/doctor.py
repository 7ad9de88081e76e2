"""Single checks of the doctor, in a working folder of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tapemill.doctor import checks, config
from tapemill.doctor.findings import CheckOptions, Finding
from tapemill.media.ffmpeg import runner as ffmpeg
from tests.support.project import ROOT, Project


class Patient(Project):
    """Working folder, and the doctor's findings there."""

    def found(self, *names: str, level: str | None = None, **asked: Any) -> list[Finding]:
        """Return findings of some checks, by the names of their functions."""
        config.config.cache_clear()
        config.enhancement.cache_clear()
        chosen = tuple(check for check in checks.CHECKS if check[2] in names)
        assert len(chosen) == len(names)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(checks, "CHECKS", chosen)
            findings = [finding for _, finding in checks.run_checks(CheckOptions(**asked))]
        return [finding for finding in findings if level in (None, finding.level)]

    def only(self, *names: str, level: str = "error", **asked: Any) -> Finding:
        """Return the one finding of a level."""
        (finding,) = self.found(*names, level=level, **asked)
        assert finding.remedy
        return finding


@pytest.fixture
def patient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Patient]:
    """Working folder without faults; it is the current folder."""
    made = Patient(tmp_path / "work")
    monkeypatch.chdir(made.folder)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    (made.folder / "profiles").symlink_to(ROOT / "profiles")
    (made.folder / "one.mkv").write_bytes(b"some")
    made.sheet({"tape": "one", "source": "one.mkv"})
    yield made
    config.config.cache_clear()
    config.enhancement.cache_clear()
    ffmpeg.set_binary(None)
