"""Ask single checks of the doctor, in a working folder of the test's own."""

import pytest

from tapemill.doctor import checks, config
from tapemill.doctor.findings import CheckOptions
from tapemill.media.ffmpeg import runner as ffmpeg
from tests.support.project import ROOT, Project


class Patient(Project):
    """A working folder, and what the doctor finds there."""

    def found(self, *names, level=None, **asked):
        """Findings of some checks, by the names of their functions."""
        config.config.cache_clear()
        config.enhancement.cache_clear()
        before = checks.CHECKS
        checks.CHECKS = [check for check in before if check[2] in names]
        assert len(checks.CHECKS) == len(names)
        try:
            findings = [finding for _, finding in checks.run_checks(CheckOptions(**asked))]
        finally:
            checks.CHECKS = before
        return [finding for finding in findings if level in (None, finding.level)]

    def only(self, *names, level="error", **asked):
        """The one finding of a level."""
        (finding,) = self.found(*names, level=level, **asked)
        assert finding.remedy
        return finding


@pytest.fixture
def patient(tmp_path, monkeypatch):
    """A folder where all is well, and the present one."""
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
