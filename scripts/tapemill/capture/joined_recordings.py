"""Recordings that were joined in one file, byte by byte: their borders."""

from __future__ import annotations

import itertools
from pathlib import Path

from tapemill.core.errors import InputError
from tapemill.media.containers.file_parts import BytePart
from tapemill.media.containers.recording_heads import find_head
from tapemill.media.packets import PacketIndex
from tapemill.media.probe import MediaInfo


def joined_parts(file: Path, media: MediaInfo, packets: PacketIndex) -> list[BytePart]:
    """Return the recordings that are joined in a file. Raises InputError if their borders cannot be found."""
    heads = [jump.position and find_head(file, media.container, jump.position) for jump in packets.jumps_back]
    borders = [0, *(head for head in heads if head), file.stat().st_size]
    if len(borders) != len(heads) + 2 or sorted(set(borders)) != borders:
        raise unseparable(file, media, packets)
    return [BytePart(start, stop) for start, stop in itertools.pairwise(borders)]


def require_same_streams(file: Path, packets: PacketIndex, first: MediaInfo, other: MediaInfo) -> None:
    """Raise InputError unless two recordings of a file number their streams alike."""

    def streams(media: MediaInfo) -> list[int]:
        return [media.picture.stream_index, *(sound.stream_index for sound in media.sounds)]

    if streams(first) != streams(other):
        raise unseparable(file, first, packets)


def unseparable(file: Path, media: MediaInfo, packets: PacketIndex) -> InputError:
    """Return the error for recordings whose borders cannot be found."""
    jump = packets.jumps_back[0]
    more = f", and {len(packets.jumps_back) - 1} times more" if len(packets.jumps_back) > 1 else ""
    rate = media.picture.stated_rates[0]
    return InputError(
        f"the time stamps jump back from {float(jump.from_s):.1f} s to {float(jump.to_s):.1f} s{more}",
        file=file,
        remedy="several recordings seem to be joined, and their borders cannot be found; number their frames anew,"
        f" without loss: ffmpeg -i FILE -map 0:v:0 -map 0:a? -vf setpts=N/({rate})/TB -af asetpts=N/SR/TB"
        " -fps_mode passthrough -c:v ffv1 -g 1 -c:a flac NEW.mkv",
    )
