"""Empty video chunks behind the last frame of an AVI."""

import pytest

from tapemill.media.containers.avi_chunks import count_null_frames


def chunk(kind, content=b""):
    return kind + len(content).to_bytes(4, "little") + content + b"\0" * (len(content) % 2)


FRAME = chunk(b"00dc", b"picture")
HEAD = b"RIFF\0\0\0\0AVI " + chunk(b"JUNK", bytes(20)) + b"LIST\0\0\0\0movi"


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ([], 0),
        ([chunk(b"00dc"), chunk(b"01wb", b"audio"), chunk(b"00db")], 2),
        # Of another stream, of audio, of the index.
        ([chunk(b"02dc"), chunk(b"01wb"), chunk(b"idx1"), chunk(b"00dc")], 0),
        # Groups of a frame and its audio, and the next part of a file of several GiB.
        ([b"LIST\0\0\0\0rec ", chunk(b"00dc"), b"RIFF\0\0\0\0AVIXLIST\0\0\0\0movi", chunk(b"00dc")], 2),
        ([chunk(b"00dc"), b"00d"], 1),
    ],
)
@pytest.mark.parametrize("is_content", [False, True])
def test_empty_chunks_behind_a_frame_are_counted(tmp_path, after, expected, is_content):
    path = tmp_path / "a.avi"
    path.write_bytes(HEAD + chunk(b"00dc") + FRAME + b"".join(after))

    found = count_null_frames(path, len(HEAD) + 8 + 8 * is_content, 0)

    assert found == expected
