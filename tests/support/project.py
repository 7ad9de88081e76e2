"""Run the real workflow in a folder of its own, and tell which jobs ran."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from tapemill.cli import main as cli
from tapemill.config.tape_sheet import load_sheet
from tapemill.process.results_lease import LEASE
from tapemill.records import known_content
from tapemill.records.capture import CheckedCapture
from tapemill.storage.checksums import MANIFEST
from tapemill.workflow.tape import TapeState

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT.parent / "shared" / "samples"
FIELD = ROOT.parent / "shared" / "field"
DEMO_MODEL = "resources/models/demo-en.pt"
JOB = re.compile(r"^Finished jobid: \d+ \(Rule: (\w+)\)", re.MULTILINE)


# In a tape's provenance and its crate: when, where, by whom, and from which commit.
OF_THE_RUN = {"run", "places", "startTime", "endTime", "datePublished", "version"}


OF_THE_RUN_FILES = ("provenance.json", "ro-crate-metadata.json")


def digest(path: Path) -> str:
    """SHA-256 of a result; of a tape's provenance that of all but times and places."""
    content = path.read_bytes()
    if path.name == MANIFEST:
        # The hashes of the provenance and its crate, which name times and places.
        lines = content.decode().splitlines()
        content = "\n".join(line for line in lines if not line.endswith(OF_THE_RUN_FILES)).encode()
    if path.name in OF_THE_RUN_FILES:
        content = json.dumps(_lasting(json.loads(content)), sort_keys=True).encode()
    return hashlib.sha256(content).hexdigest()


def result_digests(folder: Path) -> dict[str, str]:
    """Digests of all results in a project's folder, by their paths. Leases are no results."""
    files = sorted(path for path in (folder / "results").rglob("*") if path.is_file() and path.name != LEASE)
    return {str(path.relative_to(folder)): digest(path) for path in files}


def same(one: Path, other: Path, *, exit_code: int) -> str:
    """What `tapemill same` says of two tapes, in small letters; it has to end with this code."""
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        code = cli.main(["same", str(one), str(other)])
    assert code == exit_code, said.getvalue()
    return said.getvalue().lower()


def _lasting(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _lasting(each) for key, each in value.items() if key not in OF_THE_RUN}
    return [_lasting(each) for each in value] if isinstance(value, list) else value


def this_checkout(root: Path = ROOT) -> str:
    """PYTHONPATH for Snakemake: it imports the scheduler plugin, and the library with it, before any Snakefile."""
    return os.pathsep.join([str(root / "scripts"), *filter(None, [os.environ.get("PYTHONPATH")])])


@dataclass(frozen=True)
class Run:
    """A finished run of snakemake."""

    exit_code: int
    output: str
    jobs: Counter[str]
    """Jobs that ended well, by rule; without `all`."""


def vouch_for_captures(folder: Path) -> None:
    """Take the captures of a copied project for those that were read in the original."""
    with chdir(folder):
        for tape, row in load_sheet(Path("config/tapes.tsv"), []).items():
            checks, files = Path(known_content.CHECKS, tape), TapeState(row).files
            for record in checks.glob("*.json"):
                before = CheckedCapture.from_plain(json.loads(record.read_text())).files
                moved = [
                    replace(file, state=known_content.file_state(path))
                    for file, path in zip(before, files, strict=True)
                ]
                target = known_content.check_file(tape, known_content.capture_state(files))
                known_content.vouch(CheckedCapture(tuple(moved)), target)


class Project:
    """A working folder with its own config and sheet, using the repository's Snakefile, or that of a copy of it."""

    checkout = ROOT

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "config").mkdir(parents=True)
        (folder / "resources" / "models").mkdir(parents=True)
        for name in ("models.yaml", "models.lock"):
            shutil.copy(ROOT / "config" / name, folder / "config" / name)
        shutil.copy(ROOT / DEMO_MODEL, folder / DEMO_MODEL)
        self.configure()

    @classmethod
    def existing(cls, folder: Path) -> Project:
        """Return the project in a folder that holds one already, such as a copy."""
        project = cls.__new__(cls)
        project.folder = folder
        return project

    @classmethod
    def copied(cls, original: Path, folder: Path) -> Project:
        """Return a copy of a project, file times kept, whose captures are vouched for as in the original."""
        shutil.copytree(original, folder, symlinks=True)
        vouch_for_captures(folder)
        return cls.existing(folder)

    def configure(self, **sections: object) -> None:
        """Write the config: the demo model, no pages for the report, and what the test asks for."""
        subtitles = {"model": DEMO_MODEL}
        config = {"subtitles": subtitles, "report": {"pages": False}} | sections
        if isinstance(config["subtitles"], dict):
            config["subtitles"] = subtitles | config["subtitles"]
        (self.folder / "config" / "config.yaml").write_text(yaml.safe_dump(config))

    def sheet(self, *rows: dict[str, object]) -> None:
        """Write the tape sheet."""
        columns = ["tape", "source", "title", "date", "language", "field_order", "aspect"]
        columns += ["film"] if any("film" in row for row in rows) else []
        lines = ["\t".join(columns), *("\t".join(str(row.get(column, "")) for column in columns) for row in rows)]
        (self.folder / "config" / "tapes.tsv").write_bytes("\n".join([*lines, ""]).encode("utf-8", "surrogateescape"))

    def run(self, *arguments: str, cores: int = 2, profile: str = "cpu") -> Run:
        """Run snakemake to its end, with the profile the user would take."""
        logs = self.folder / ".snakemake" / "log"
        before = set(logs.glob("*.log")) if logs.exists() else set()
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(self.checkout / "Snakefile")]
        command += ["--profile", str(self.checkout / "profiles" / profile), "--directory", str(self.folder)]
        done = subprocess.run(
            [*command, "--cores", str(cores), *arguments],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=os.environ | {"COLUMNS": "250", "PYTHONPATH": this_checkout(self.checkout)},
            timeout=1500,
            check=False,
        )
        told = "".join(path.read_text(errors="replace") for path in set(logs.glob("*.log")) - before)
        jobs = Counter(JOB.findall(told))
        del jobs["all"]
        return Run(done.returncode, done.stdout.decode("utf-8", "replace"), jobs)

    def make(self, *arguments: str, cores: int = 2) -> Run:
        """Like `run`, and it has to succeed."""
        run = self.run(*arguments, cores=cores)
        assert run.exit_code == 0, run.output
        return run

    def path(self, name: str) -> Path:
        """A file of the project."""
        return self.folder / name

    def half_made(self) -> list[Path]:
        """Files that are being written; the run may go on meanwhile, so folders may vanish while this looks."""
        found = [Path(folder, name) for folder, _, names in os.walk(self.path("results")) for name in names]
        return [path for path in found if "partial" in str(path.relative_to(self.folder))]
