import numpy as np
import pytest

from demo.tape import drawing, vhs_degradation


@pytest.fixture(scope="module")
def tape():
    return vhs_degradation.VhsTape(576)


@pytest.fixture(scope="module")
def grey():
    return drawing.blank(720, 576, (120, 128, 128))


def bars(colour):
    picture = drawing.blank(720, 576, (120, 128, 128))
    picture[:, 360:] = colour
    return picture


def test_a_frame_plays_the_same_each_time_and_no_two_alike(tape, grey):
    one, again = tape.play(3, grey, grey), vhs_degradation.VhsTape(576).play(3, grey, grey)
    assert one.planes() == again.planes()
    assert len(one.planes()) == 720 * 576 * 2
    assert one.planes() != tape.play(4, grey, grey).planes()


def test_the_top_field_comes_first(tape, grey):
    bright = drawing.blank(720, 576, (200, 128, 128))
    luma = tape.play(0, bright, grey).luma[:560].astype(int)
    assert luma[0::2].mean() == pytest.approx(200, abs=2)
    assert luma[1::2].mean() == pytest.approx(120, abs=2)


def test_noise_is_as_strong_as_said_and_without_a_bias(tape, grey):
    captured = tape.play(0, grey, grey)
    luma, chroma = captured.luma[:560].astype(float), captured.chroma[:560].astype(float)
    assert luma.mean() == pytest.approx(120, abs=1.5)
    assert luma.std() == pytest.approx(vhs_degradation.LUMA_NOISE, rel=0.2)
    assert chroma.std() == pytest.approx(vhs_degradation.CHROMA_NOISE, rel=0.25)


def test_edges_blur_and_colour_lags_behind_brightness(tape):
    red = bars((200, 90, 240))
    frames = [tape.play(frame, red, red) for frame in range(12)]
    luma = np.mean([frame.luma[100:500].mean(axis=0) for frame in frames], axis=0)
    cr = np.mean([frame.chroma[100:500, :, 1].mean(axis=0) for frame in frames], axis=0)
    luma_edge = int(np.argmax(luma > 160))
    chroma_edge = 2 * int(np.argmax(cr > 184))
    assert abs(luma_edge - 360) <= 2
    assert 3 <= chroma_edge - luma_edge <= 6
    rise = np.flatnonzero((cr > 140) & (cr < 228))
    assert len(rise) > 3


def test_the_lowest_lines_are_torn(tape):
    picture = bars((200, 128, 128))
    luma = tape.play(0, picture, picture).luma.astype(float)
    edges = [int(np.argmax(np.convolve(row, np.ones(9) / 9, "same")[5:] > 160)) for row in luma]
    assert abs(np.median(edges[:560]) - 355) < 6
    assert np.median(edges[568:574]) > 385


def test_lines_start_unsteadily_but_by_less_than_two_samples():
    steps = vhs_degradation._jitter(np.random.default_rng(1))
    assert steps.std() > 2
    assert np.abs(steps).max() < 2 * drawing.MAP_STEPS
