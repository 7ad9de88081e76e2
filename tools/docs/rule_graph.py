"""Rule graph of docs/architecture.md, from Snakemake (`--rulegraph mermaid-js`).

Before a checkpoint is done Snakemake does not know the rules behind it, and afterwards it omits the checkpoint. So the
graph is the union of three: for a new tape, for one whose scenes are known, and for one whose language is known too.
The capture is a few bytes that are never read, and no job runs.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Collection
from fractions import Fraction
from pathlib import Path
from typing import Final

from tapemill.core.errors import SetupError
from tapemill.core.timing import FrameRange
from tapemill.media.capture_info import AudioTrackInfo, Capture, SourceFileInfo, VideoInfo
from tapemill.media.colour import Colour
from tapemill.scenes.table import make_scenes, write_csv, write_edl, write_scenes
from tapemill.storage.atomic import write_json
from tapemill.workflow.tape_recipe import write_recipe

ROOT: Final = Path(__file__).parents[2]
SNAKEMAKE_S: Final = 120
LAST_LINES: Final = 12
FRAMES: Final = 100
TAPE: Final = "T01"
NODE: Final = re.compile(r"^\s*(\w+)\[(\w+)\]$", re.MULTILINE)
ARROW: Final = re.compile(r"^\s*(\w+) --> (\w+)$", re.MULTILINE)

Arrow = tuple[str, str]


def rule_graph() -> str:
    """Render the rules that make a tape as a Mermaid graph: the same rules give the same text.

    Dotted arrows lead from a checkpoint to rules that depend on it without a file. Redundant arrows are omitted. Raises
    SetupError if Snakemake fails.
    """
    with tempfile.TemporaryDirectory(prefix="tapemill-graph-") as name:
        folder = Path(name)
        _make_folder(folder)
        arrows = _draw(folder)
        _write_scenes(folder)
        after_checkpoint = _draw(folder)
        dotted = {("detect_scenes", rule) for rule in _roots(after_checkpoint) - _rules(arrows)}
        arrows |= after_checkpoint
        write_json(folder / "results" / TAPE / "language.json", {"language": "en"})
        arrows |= _draw(folder)
    lines = [
        f"    {start} {'-.->' if (start, end) in dotted else '-->'} {end}"
        for start, end in sorted(transitive_reduction(arrows | dotted))
    ]
    return "\n".join(["flowchart LR", *lines])


def _rules(arrows: Collection[Arrow]) -> set[str]:
    return {rule for arrow in arrows for rule in arrow}


def _roots(arrows: Collection[Arrow]) -> set[str]:
    """Rules without an arrow to them."""
    return _rules(arrows) - {end for _, end in arrows}


def transitive_reduction(arrows: Collection[Arrow]) -> set[Arrow]:
    """Transitive reduction of an acyclic graph: its arrows that no longer path replaces."""
    after: defaultdict[str, set[str]] = defaultdict(set)
    for start, end in arrows:
        after[start].add(end)

    def reached(start: str) -> set[str]:
        """All rules after a rule."""
        return after[start].union(*map(reached, after[start]))

    return {(start, end) for start, end in arrows if not any(end in reached(next) for next in after[start])}


def _draw(folder: Path) -> set[Arrow]:
    """Arrows between rules in Snakemake's graph for a working folder."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "1"]
    done = subprocess.run(
        [*command, "--directory", str(folder), "--rulegraph", "mermaid-js", "all"],
        capture_output=True,
        text=True,
        timeout=SNAKEMAKE_S,
        check=False,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT / "scripts")},
    )
    if done.returncode:
        raise SetupError(
            "Snakemake did not draw the rule graph",
            tool="snakemake",
            tool_exit_code=done.returncode,
            stderr_tail=done.stderr.splitlines()[-LAST_LINES:],
            remedy="check that `snakemake all -n` works",
        )
    names = dict(NODE.findall(done.stdout))
    return {(names[start], names[end]) for start, end in ARROW.findall(done.stdout)}


def _make_folder(folder: Path) -> None:
    """Make a working folder with a new tape."""
    (folder / "config").mkdir()
    for name in ("models.yaml", "models.lock"):
        shutil.copy(ROOT / "config" / name, folder / "config" / name)
    (folder / "resources").symlink_to(ROOT / "resources")
    (folder / "config" / "config.yaml").write_text("subtitles: {model: demo-en}\n")
    (folder / "config" / "tapes.tsv").write_text(f"tape\tsource\n{TAPE}\tcapture.mkv\n")
    (folder / "capture.mkv").write_bytes(b"nobody opens this")


def _write_scenes(folder: Path) -> None:
    """Write the files that jobs write until the scenes are known; there is one scene."""
    results = folder / "results" / TAPE
    unknown = Colour("unknown", "unknown", "unknown", "unknown")
    picture = VideoInfo(720, 576, "yuv422p", 8, Fraction(16, 15), Fraction(25), "tff", unknown)
    take = SourceFileInfo(Fraction(25), 0, Fraction(1, 25), FRAMES, FRAMES, 0, 0, False, "capture.mkv", 0)
    capture = Capture("file", (take,), picture, (AudioTrackInfo(1, "flac", 48000, 2, "", ""),), {})
    write_json(results / "capture.json", capture.to_plain())
    write_recipe(results)
    scenes = make_scenes([FrameRange(0, FRAMES)], picture.rate)
    write_scenes(scenes, results / "scenes.tsv")
    write_csv(scenes, results / "scenes.csv")
    write_edl(scenes, TAPE, results / "scenes.edl")
