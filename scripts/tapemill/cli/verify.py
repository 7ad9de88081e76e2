"""Command `tapemill verify`: read tapes and compare them with the hashes recorded when they were made."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from tapemill.config.tape_sheet import load_sheet
from tapemill.core.errors import ConfigError
from tapemill.core.result_paths import CONTAINERS, PROVENANCE, RESULTS
from tapemill.doctor.config import setting
from tapemill.storage.checksums import MANIFEST
from tapemill.storage.disk_space import format_size
from tapemill.verification import history
from tapemill.verification.verify import FAULTS, FileCheck, VerifyOptions, verify_tape
from tapemill.workflow.tape import DEMO_CAPTURE, TapeState

INTACT: Final = 0
FAULTY: Final = 1
UNKNOWN: Final = 2
PROGRESS_STEP_BYTES: Final = 64 << 20


def add_command(commands: Any) -> None:
    """Add `verify` to the subcommands of an argument parser."""
    parser = commands.add_parser(
        "verify",
        help="read tapes and compare them with the hashes recorded when they were made",
        description="Read tapes, their subtitles and records, and compare them with the hashes that were recorded when "
        "they were made. The exit code is 0 if all are intact, 1 if a file changed, is damaged or missing, 2 if "
        "nothing is recorded of a tape.",
    )
    parser.add_argument(
        "tapes", metavar="TAPE", nargs="*", help="id or folder of a tape; without any: all finished tapes"
    )
    parser.add_argument("--clips", action="store_true", help="also read clips and audio, as far as they are there")
    parser.add_argument("--captures", action="store_true", help="also read the captures, as far as they are there")
    parser.add_argument("--decode", action="store_true", help="also decode every frame and sample of the tapes")
    parser.add_argument("--quiet", action="store_true", help="print nothing about files that are intact")
    parser.set_defaults(command=_command)


def _print(line: str, *, flush: bool = False) -> None:
    sys.stdout.write(line + "\n")
    if flush:
        sys.stdout.flush()


def _command(options: argparse.Namespace) -> int:
    folders = [_folder_of(named) for named in options.tapes] or list(_finished_tapes())
    if not folders:
        raise ConfigError("there is no finished tape here", file=RESULTS, remedy="name the folder of a tape")
    extent = VerifyOptions(clips=options.clips, captures=options.captures, decode=options.decode)
    faulty = unrecorded = 0
    for folder in folders:
        captures = _captures_of(folder.name) if options.captures else ()
        counts = _verify(folder, extent, captures, is_quiet=options.quiet)
        faulty += any(counts[state] for state in FAULTS)
        unrecorded += not counts["intact"] and not any(counts[state] for state in FAULTS)
    if unrecorded:
        _print(f"Nothing is recorded of {unrecorded} of {len(folders)} tapes.")
        return FAULTY if faulty else UNKNOWN
    if faulty:
        _print(f"{faulty} of {len(folders)} tapes are not as they were made.")
        return FAULTY
    _print(f"{len(folders)} tape{'s are' if len(folders) > 1 else ' is'} as recorded.")
    return INTACT


def _verify(folder: Path, options: VerifyOptions, captures: Sequence[Path], *, is_quiet: bool) -> Counter[str]:
    """Verify one tape and print a line for each file. Returns the number of files by state."""
    counts: Counter[str] = Counter()
    for check in verify_tape(folder, options, captures=captures, reached=_Progress().show):
        counts[check.state] += 1
        if check.state != "intact" or not is_quiet:
            _print(_line(check), flush=True)
    tape = next((path for path in _tape_files(folder) if path.is_file()), None)
    if tape is not None and counts["intact"]:
        history.write_note(tape, sum(counts[state] for state in FAULTS))
    _print(f"{folder.name}: " + ", ".join(f"{count} {state}" for state, count in counts.items()), flush=True)
    return counts


def _line(check: FileCheck) -> str:
    return f"{check.state:<10} {check.path}" + (f": {check.detail}" if check.detail else "")


class _Progress:
    """Progress of long reads, on a terminal only."""

    def __init__(self) -> None:
        self._shown = 0

    def show(self, path: Path, done: int, size: int) -> None:
        """Overwrite the line of progress, at most once for each step; remove it at the end of the file."""
        if not sys.stderr.isatty():
            return
        if done >= size:
            sys.stderr.write("\r\x1b[K" if self._shown else "")
            self._shown = 0
        elif done - self._shown >= PROGRESS_STEP_BYTES:
            self._shown = done
            sys.stderr.write(f"\r\x1b[K{100 * done // size:3} % of {format_size(size)}: {path}")
        sys.stderr.flush()


def _folder_of(named: str) -> Path:
    path, by_id = Path(named), RESULTS / named
    if path.is_file():
        return path.parent
    # A folder of the working folder may have the name of a tape.
    folder = by_id if by_id.is_dir() else path
    if not folder.is_dir():
        raise ConfigError(
            f"there is no tape {named!r}", file=folder, remedy="name a tape's id, in its working folder, or its folder"
        )
    return folder


def _finished_tapes() -> Iterator[Path]:
    """Yield the folders of tapes that were finished once, whether their files are there now or not."""
    for folder in sorted(RESULTS.glob("*/")):
        if (folder / PROVENANCE).exists() or (folder / MANIFEST).exists() or any(map(Path.exists, _tape_files(folder))):
            yield folder


def _tape_files(folder: Path) -> list[Path]:
    return [folder / f"{folder.name}{suffix}" for suffix in CONTAINERS]


def _captures_of(tape: str) -> list[Path]:
    """Return the files of the capture of a tape, by the sheet; none if the sheet has no such tape."""
    rows = load_sheet(Path(setting("sheet")), producible=[DEMO_CAPTURE])
    return TapeState(rows[tape]).files if tape in rows else []
