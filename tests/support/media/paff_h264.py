"""H.264 written by hand: interlaced pictures as pairs of field pictures (PAFF), which no encoder at hand makes.

Every macroblock is I_PCM, so a picture is some header bits (ITU-T H.264, 7.3) and its samples.
"""

from __future__ import annotations

import numpy as np

SIDE = 32  # of a picture, in samples: a field is two macroblocks wide and one high
DELIMITER = b"\0\0\0\1\x09\xf0"


def elementary_stream(pictures: int, *, rate: int = 25, mixed: bool = False, stated_side: int = SIDE) -> bytes:
    """A stream of so many pictures, each of two fields; `mixed`: every other one is stored as a whole instead.

    `stated_side` is what its header says of their size.
    """
    out = b""
    for number in range(pictures):
        luma = np.full((SIDE, SIDE), 60 + 3 * (number % 50), np.uint8)
        luma[:, (number * 2) % 28 : (number * 2) % 28 + 4] = 220
        out += DELIMITER + _sequence(rate, stated_side) + _parameters()
        if mixed and number % 2:
            out += _picture(luma, field=False)
        else:
            out += _picture(luma[0::2]) + DELIMITER + _picture(luma[1::2], bottom=True)
    return out


class _Bits:
    def __init__(self) -> None:
        self.text = ""

    def u(self, count: int, *values: int) -> _Bits:
        """Unsigned numbers of so many bits."""
        self.text += "".join(format(value, f"0{count}b") for value in values)
        return self

    def ue(self, *values: int) -> _Bits:
        """Exponential Golomb codes (9.1)."""
        codes = [format(value + 1, "b") for value in values]
        self.text += "".join("0" * (len(code) - 1) + code for code in codes)
        return self

    def aligned(self, data: bytes = b"") -> _Bits:
        self.text += "0" * (-len(self.text) % 8) + "".join(format(byte, "08b") for byte in data)
        return self

    def unit(self, kind: int) -> bytes:
        """As a NAL unit, with the trailing bit and bytes that keep start codes out (7.4.1)."""
        self.u(1, 1).aligned()
        out, zeros = bytearray(), 0
        for byte in int(self.text, 2).to_bytes(len(self.text) // 8, "big"):
            if zeros >= 2 and byte <= 3:
                out.append(3)
                zeros = 0
            out.append(byte)
            zeros = zeros + 1 if byte == 0 else 0
        return b"\0\0\0\1" + bytes([3 << 5 | kind]) + bytes(out)


def _sequence(rate: int, side: int) -> bytes:
    bits = _Bits().u(8, 77, 0, 30).ue(0, 0)  # Main profile, level 3
    bits.ue(2)  # shown in the order of decoding
    bits.ue(1).u(1, 0)  # one reference
    bits.ue(side // 16 - 1, side // 32 - 1).u(1, 0)  # size in macroblocks of a field; fields allowed
    bits.u(1, 0, 1, 0)  # no mixing within a picture, direct_8x8_inference, no cropping
    bits.u(1, 1, 0, 0, 0, 0)  # usability information: of aspect, overscan, signal and chroma none
    bits.u(1, 1).u(32, 1, 2 * rate).u(1, 1)  # fields a second
    return bits.u(1, 0, 0, 0, 0).unit(7)


def _parameters() -> bytes:
    return _Bits().ue(0, 0).u(1, 0, 0).ue(0, 0, 0).u(1, 0).u(2, 0).ue(0, 0, 0).u(1, 0, 0, 0).unit(8)


def _picture(luma: np.ndarray, *, field: bool = True, bottom: bool = False) -> bytes:
    """An intra picture. Bottom fields belong to the picture of the top field before, so they do not start anew."""
    bits = _Bits().ue(0, 7, 0).u(4, 0).u(1, int(field))
    if field:
        bits.u(1, int(bottom))
    if bottom:
        bits.u(1, 0)
    else:
        bits.ue(0).u(1, 0, 0)
    bits.ue(0)
    for row in range(0, luma.shape[0], 16):
        for column in range(0, SIDE, 16):
            bits.ue(25).aligned(luma[row : row + 16, column : column + 16].tobytes() + bytes([128]) * 128)
    return bits.unit(1 if bottom else 5)
