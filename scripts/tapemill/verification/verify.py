"""Verification of a tape: its files are read and compared with their recorded hashes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Final, Literal

import av.error
from av import VideoFrame

from tapemill.core.errors import InputError
from tapemill.core.result_paths import CAPTURE_CHECKSUM, CLIP, CONTAINERS, SPEECH_AUDIO, TAPE_AUDIO
from tapemill.media.packets import frame_count
from tapemill.media.probe import open_media
from tapemill.provenance.load import LoadedProvenance
from tapemill.records.capture import CaptureHashes
from tapemill.storage import fingerprint
from tapemill.storage.checksums import MANIFEST
from tapemill.storage.typed_json import read_record

from .recorded import recorded_hashes

State = Literal["intact", "changed", "missing", "damaged", "unrecorded", "removed"]
FAULTS: Final = frozenset({"changed", "missing", "damaged"})
# Large files that can be made again; `clean_tapes` removes them. They are read on request only.
REMAKEABLE: Final = (CLIP.format(scene="*"), SPEECH_AUDIO.format(scene="*"), TAPE_AUDIO)
REMEDY: Final = "restore it from a copy"

Reached = Callable[[Path, int, int], None]
"""Called with a file, the bytes read of it so far, and its size."""


@dataclass(frozen=True)
class VerifyOptions:
    """Extent of a verification. The tape, its subtitles and its records are always read."""

    clips: bool = False
    """Also clips and audio, as far as they were not removed."""
    captures: bool = False
    """Also the capture."""
    decode: bool = False
    """Also decode every frame and every sample of the tape."""


@dataclass(frozen=True)
class FileCheck:
    """Result of the check of one file."""

    path: Path
    state: State
    detail: str = ""

    @property
    def is_fault(self) -> bool:
        """Whether the file is not what it was."""
        return self.state in FAULTS


def verify_tape(
    folder: Path, options: VerifyOptions, *, captures: Sequence[Path] = (), reached: Reached | None = None
) -> Iterator[FileCheck]:
    """Verify the tape in `folder`, and yield the result for each file as it comes.

    `captures` are the files of its capture, in order, read if that is asked for.
    """
    try:
        recorded = recorded_hashes(folder)
    except InputError as error:
        yield FileCheck(error.file or folder, "damaged", error.what)
        return
    if not recorded.files:
        yield FileCheck(folder, "unrecorded", "nothing records the content of this tape; `snakemake all` does")
        return
    for name, sha256 in recorded.files.items():
        is_remakeable = any(fnmatch(name, pattern) for pattern in REMAKEABLE)
        if options.clips or not is_remakeable:
            yield check_file(folder / name, sha256, reached, may_be_gone=is_remakeable)
    if not recorded.is_complete:
        yield FileCheck(folder / MANIFEST, "unrecorded", "the records of a tape of version 0.2 or older have no hashes")
    if options.captures:
        yield from _captures(folder, captures, reached)
    if options.decode:
        for name in recorded.results:
            if name.endswith(CONTAINERS) and (folder / name).is_file():
                yield _decode(folder / name)


def check_results(tape: LoadedProvenance) -> Iterator[FileCheck]:
    """Read the tape's file and its subtitles beside a provenance; none if a provenance lies there alone."""
    if tape.document is None:
        return
    folder, name = tape.source.parent, tape.document.tape
    files = {folder / f"{name}.{result.kind}": result.sha256 for result in tape.document.results}
    if tape.source.parent.name == name or any(path.exists() for path in files):
        yield from (check_file(path, sha256) for path, sha256 in files.items())


def check_file(path: Path, sha256: str, reached: Reached | None = None, *, may_be_gone: bool = False) -> FileCheck:
    """Compare a file with its hash. `may_be_gone`: it can be made again, so that it may have been removed."""
    try:
        size = path.stat().st_size
        found = fingerprint.sha256(path, (lambda done: reached(path, done, size)) if reached else None)
    except FileNotFoundError:
        return FileCheck(path, "removed") if may_be_gone else FileCheck(path, "missing", REMEDY)
    except OSError as error:
        return FileCheck(path, "damaged", f"it cannot be read: {error.strerror}")
    if found == sha256:
        return FileCheck(path, "intact")
    if size == 0:
        return FileCheck(path, "changed", f"it is empty; {REMEDY}")
    if path.suffix == ".srt":
        return FileCheck(path, "changed", f"if somebody corrected it: `snakemake all` takes it over; else {REMEDY}")
    return FileCheck(path, "changed", f"its SHA-256 is {found[:16]}…, recorded is {sha256[:16]}…; {REMEDY}")


def _captures(folder: Path, captures: Sequence[Path], reached: Reached | None) -> Iterator[FileCheck]:
    record = folder / CAPTURE_CHECKSUM
    try:
        hashes = read_record(CaptureHashes, record, error=InputError, remedy="delete it").files
    except FileNotFoundError:
        yield FileCheck(record, "unrecorded", "nothing records the content of the capture")
        return
    except InputError as error:
        yield FileCheck(record, "damaged", error.what)
        return
    if len(captures) != len(hashes):
        yield FileCheck(folder, "unrecorded", f"the capture has {len(captures)} files, recorded are {len(hashes)}")
        return
    for path, each in zip(captures, hashes, strict=True):
        # A finished tape needs no capture: it may be on a shelf.
        yield check_file(path, each.sha256, reached, may_be_gone=True)


def _decode(path: Path) -> FileCheck:
    """Decode all frames and samples of a tape."""
    try:
        expected, frames = frame_count(path), 0
        with open_media(path) as container:
            video, audio = container.streams.video[0], container.streams.audio
            for context in (video.codec_context, *(stream.codec_context for stream in audio)):
                context.options = {**context.options, "err_detect": "explode"}
                context.thread_type = "AUTO"
            for packet in container.demux([video, *audio]):
                for frame in packet.decode():
                    if isinstance(frame, VideoFrame):
                        frames += 1
                        if frame.is_corrupt:
                            return FileCheck(path, "damaged", f"frame {frames - 1} is corrupt; {REMEDY}")
    except (av.error.FFmpegError, InputError) as error:
        return FileCheck(path, "damaged", f"it cannot be decoded to its end: {error}")
    if frames != expected:
        return FileCheck(path, "damaged", f"{frames} of {expected} frames can be decoded; {REMEDY}")
    return FileCheck(path, "intact", f"{frames} frames decoded")
