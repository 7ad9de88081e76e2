"""Captures that are damaged at known places."""

import av

# Each picture is coded by itself, so that it is known what can still be decoded.
MJPEG = {"codec": "mjpeg", "pixel_format": "yuvj420p", "b_frames": 0}


def spoil(path, frames):
    """Overwrite the packets of these pictures with zeros, counted in the order of the file."""
    with av.open(str(path)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    for number in frames:
        place = data.find(packets[number])
        assert place >= 0
        data[place : place + len(packets[number])] = bytes(len(packets[number]))
    path.write_bytes(data)
