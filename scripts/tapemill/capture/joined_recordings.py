"""Recordings that were joined in one file, byte by byte: their borders."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

from tapemill.core.errors import InputError
from tapemill.media.containers.file_parts import BytePart
from tapemill.media.containers.recording_heads import find_head, find_whole_recordings
from tapemill.media.packet_index import PacketIndex
from tapemill.media.stream_info import MediaInfo

# Of many recordings, so many commands show the pattern.
MAX_COMMANDS = 4
COPIED = "-map 0:v:0 -map 0:a? -c copy"


def joined_parts(file: Path, media: MediaInfo, packets: PacketIndex) -> list[BytePart]:
    """Return the recordings that are joined in a file; none of a single one.

    Raises InputError if their borders cannot be found.
    """
    if whole := find_whole_recordings(file, media.container):
        return [BytePart(start, stop) for start, stop in itertools.pairwise([0, *whole, file.stat().st_size])]
    if not packets.jumps_back:
        return []
    heads = [jump.position and find_head(file, media.container, jump.position) for jump in packets.jumps_back]
    borders = [0, *(head for head in heads if head), file.stat().st_size]
    if len(borders) != len(heads) + 2 or sorted(set(borders)) != borders:
        raise unseparable(file, media, packets)
    return [BytePart(start, stop) for start, stop in itertools.pairwise(borders)]


def require_same_streams(file: Path, parts: Sequence[BytePart], found: Sequence[MediaInfo]) -> None:
    """Raise InputError unless all recordings of a file number their streams alike."""

    def streams(media: MediaInfo) -> list[int]:
        return [media.picture.stream_index, *(sound.stream_index for sound in media.sounds)]

    other = next((number for number, media in enumerate(found, 1) if streams(media) != streams(found[0])), None)
    if other is None:
        return
    copies = "; ".join(
        f'ffmpeg -i "subfile,,start,{part.start},end,{part.stop},,:FILE" {COPIED} FOLDER/{number}.mkv'
        for number, part in enumerate(parts[:MAX_COMMANDS], 1)
    )
    more = f" and so on, {len(parts)} in all" if len(parts) > MAX_COMMANDS else ""
    raise InputError(
        f"{len(parts)} recordings are joined in this file, and recording {other} numbers its streams otherwise than the"
        " first",
        file=file,
        remedy=f"copy each into a folder, without loss, and name the folder as source: {copies}{more}",
    )


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
