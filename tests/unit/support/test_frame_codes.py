"""The counting captures themselves: what was written can be read back, and damage to it is noticed."""

from fractions import Fraction

import numpy as np
import pytest

from tests.support.media.frame_codes import (
    beep_times,
    irregular_times,
    make_capture,
    picture,
    read_number,
    read_numbers,
)

MAKES = {
    "25i.mkv": {"interlaced": "tff"},
    "30i.ts": {"interlaced": "bff", "rate": Fraction(30000, 1001), "size": (720, 480)},
    "50p.mp4": {"rate": Fraction(50), "gop": 250, "b_frames": 3},
    "mpeg2.mpg": {"codec": "mpeg2video", "interlaced": "tff"},
    "small.mkv": {"size": (256, 192), "picture_start_s": Fraction(1, 2)},
    "variable.mkv": {"rate": Fraction(30), "times_s": irregular_times(60, Fraction(30))},
}


@pytest.mark.parametrize("name", MAKES)
def test_reads_back_every_number_and_beep(tmp_path, name):
    truth = make_capture(tmp_path / name, **{"frames": 60, **MAKES[name]})

    readings = read_numbers(truth.path, fields=truth.interlaced)

    assert [r.number for r in readings] == truth.numbers(range(truth.frames))
    heard = [time - float(readings[0].time_s) for time in beep_times(truth.path)]
    assert [b for b in heard if b > -0.002] == pytest.approx([float(b) for b in truth.beeps_s], abs=1e-3)


@pytest.mark.parametrize(("first", "second"), [(7, 8), (1023, 1024), (20, 25)])
def test_a_mixture_of_two_pictures_is_unreadable(first, second):
    one, other = (picture(n, None, 0, (720, 576), None)[0] for n in (first, second))

    assert read_number(one) == first
    assert read_number((one.astype(np.uint16) + other) // 2) is None
    combed = one.copy()
    combed[1::2] = other[1::2]
    assert read_number(combed) is None
