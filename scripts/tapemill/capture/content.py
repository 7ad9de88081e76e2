"""Check of the bytes of a capture before a media library reads it: long ranges of zeros, and edit lists that repeat."""

from __future__ import annotations

from pathlib import Path

from tapemill.core.errors import InputError
from tapemill.media.container_integrity import is_mp4_without_index, mp4_end, packet_bytes
from tapemill.media.containers.mp4_boxes import read_edit_lists
from tapemill.media.empty_ranges import MIN_EDGE_BYTES, find_empty_ranges

COPY_AGAIN = "copy it again from its origin"
# Durations of edits are rounded, and those of audio and video differ.
REPEATED_S = 1


def check_zeros(file: Path, *, allow_truncated: bool) -> list[str]:
    """Reject a file with long ranges of zeros: most demuxers would search them for frames. Return remarks.

    The index of an MP4 names its frames, so nothing is searched there.
    """
    if not file.is_file() or is_mp4_without_index(file):
        # The reason is given when it is opened.
        return []
    size, end, packet = file.stat().st_size, mp4_end(file), packet_bytes(file)
    remarks = []
    for zeros in find_empty_ranges(file, packet or MIN_EDGE_BYTES):
        # Nothing can be opened that begins with zeros, and padding does no harm where nothing is searched.
        if zeros.start == 0 or (end is not None and zeros.start >= end):
            continue
        is_end, part = zeros.stop == size, f"{100 * (zeros.stop - zeros.start) / size:.0f} % of the file"
        if is_end:
            found = f"this file is cut off: from byte {zeros.start} on there are only zeros ({part})"
        else:
            found = f"there are only zeros from byte {zeros.start} to byte {zeros.stop} ({part})"
        remedy = f"{COPY_AGAIN}; to use the part that is there, set capture: allow_truncated: true"
        if is_end and end is None:
            # The last packet may end in zeros of its own.
            kept = zeros.start + -zeros.start % (packet or 1)
            remedy = f"{COPY_AGAIN}; to use the part that is there: head -c {kept} FILE > NEW{file.suffix}"
        elif allow_truncated:
            remarks.append(found)
            continue
        raise InputError(found, file=file, remedy=remedy)
    return remarks


def edit_list_remarks(file: Path) -> list[str]:
    """Describe edit lists that show media more than once; `open_media` rejects those that do it without measure."""
    repeated_s = max((edits.shown_s - edits.media_s for edits in read_edit_lists(file)), default=0.0)
    return [f"its edit list shows {repeated_s:.1f} s more than once"] if repeated_s > REPEATED_S else []
