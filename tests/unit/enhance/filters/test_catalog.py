from dataclasses import replace

import numpy as np
import pytest

from tapemill.devices.device import CPU
from tapemill.enhance import enhance_scene
from tapemill.enhance.filters.catalog import KERNEL_SCALE, shift_kernel, unsharp_kernel
from tapemill.enhance.filters.graph import SceneGraphInput, filter_chain
from tests.support.media.clips import LOSSLESS, PAL, PLAIN, clip_of, facts_of, samples

WIDTH, HEIGHT = 192, 96
GREY = np.full((HEIGHT, WIDTH // 2), 128.0)


def chain(order="tff", **changes):
    return filter_chain(SceneGraphInput.of(PAL, order, replace(PLAIN, **changes)))


def names(steps):
    return [step.split("=")[0] for step in steps]


def test_order_of_the_steps():
    everything = chain(preset="fast", sharpen=0.2, chroma_shift_samples=-3, chroma_shift_lines=2)
    assert names(everything) == [
        *("settb", "setparams", "bwdif", "crop", "scale", "hqdn3d", "chromashift", "split", "gradfun", "cas"),
        *("scale", "setsar"),
    ]


def test_steps_without_strength_are_left_out():
    assert names(chain()) == ["settb", "setparams", "bwdif", "scale", "scale", "setsar"]


def test_no_strength_of_the_denoiser_is_zero_which_it_would_take_for_its_default():
    assert "hqdn3d=3:0.0001:0.0001:0.0001" in chain(denoise_luma_spatial=3.0)


def test_a_progressive_scene_of_an_interlaced_tape_is_doubled_after_all_filters():
    steps = names(chain("progressive", sharpen=0.2))
    assert "bwdif" not in steps
    assert steps[steps.index("cas") :] == ["cas", "scale", "fps", "setsar"]


@pytest.mark.parametrize(
    "kernel", [unsharp_kernel(3.5, 4.0), unsharp_kernel(0.5, 0.1), shift_kernel(0.5), shift_kernel(0.25)]
)
def test_kernels_keep_flat_colour(kernel):
    assert sum(kernel) == KERNEL_SCALE


def planes(clip, width=WIDTH, height=HEIGHT):
    """Y, U, V of the last frame of a yuv422p clip, shape = (lines, samples) each."""
    last = samples(clip, "yuv422p")[-1].astype(float)
    y, u, v = np.split(last, [width * height, width * height * 3 // 2])
    return y.reshape(height, width), u.reshape(height, width // 2), v.reshape(height, width // 2)


def filtered(folder, *pictures, **changes):
    """Planes of a scene of these pictures (Y, U, V each) after the filters that `changes` switch on."""
    rows = [np.concatenate([plane.round().clip(0, 255).astype(np.uint8).ravel() for plane in p]) for p in pictures]
    clip = clip_of(folder / "scene.mkv", np.stack(rows), "yuv422p", (WIDTH, HEIGHT))
    target = folder / "clip.mkv"
    enhance_scene(
        clip=clip,
        target=target,
        record=folder / "clip.json",
        picture=facts_of(clip),
        frames=len(pictures),
        settings=replace(LOSSLESS, **changes),
        device=CPU,
    )
    return target


def patches(*, sigma=0.0):
    """A picture with coloured patches, its colour blurred along the line by `sigma` chroma samples."""
    rng = np.random.default_rng(7)
    y = np.full((HEIGHT, WIDTH), 110.0)
    u, v = np.full((2, HEIGHT, WIDTH // 2), 128.0)
    for x, top in zip(range(8, WIDTH // 2 - 12, 14), rng.integers(0, 40, 99), strict=False):
        u[top : top + 40, x : x + 9] = rng.integers(60, 200)
        v[top : top + 40, x : x + 9] = rng.integers(60, 200)
        y[top : top + 40, 2 * x : 2 * x + 18] = rng.integers(40, 200)
    if sigma:
        reach = np.arange(-10, 11)
        kernel = np.exp(-0.5 * (reach / sigma) ** 2)
        kernel /= kernel.sum()
        blur = lambda plane: np.stack([np.convolve(np.pad(row, 10, "edge"), kernel, "valid") for row in plane])  # noqa: E731
        u, v = blur(u), blur(v)
    return y, u, v


def psnr(one, other):
    return 10 * np.log10(255**2 / np.mean((one - other) ** 2))


def test_bleeding_colour_is_gathered_and_brightness_untouched(tmp_path):
    clean, bled = patches(), patches(sigma=1.8)
    y, u, v = planes(filtered(tmp_path, bled, chroma_bleed=3.0, chroma_bleed_samples=7))
    for plane, (before, truth) in zip((u, v), zip(bled[1:], clean[1:], strict=True), strict=True):
        assert psnr(plane, truth) > psnr(before, truth) + 2
        assert plane.min() >= before.round().min() and plane.max() <= before.round().max()
    assert np.array_equal(y, clean[0])


def crossing(row, level):
    """Where a rising row passes `level`, in samples with fractions."""
    i = int(np.argmax(row >= level))
    return i - 1 + (level - row[i - 1]) / (row[i] - row[i - 1])


@pytest.mark.parametrize("shift", [-4, -3, 1, 5])
def test_colour_moves_by_luma_samples(tmp_path, shift):
    x = np.arange(WIDTH // 2)
    ramp = np.tile(128 + 50 * np.tanh((x - 48) / 5), (HEIGHT, 1))
    y = np.full((HEIGHT, WIDTH), 110.0)
    moved_y, u, v = planes(filtered(tmp_path, (y, ramp, ramp), chroma_shift_samples=shift))
    for plane in (u, v):
        assert 2 * (crossing(plane[40], 128.5) - crossing(ramp[40], 128.5)) == pytest.approx(shift, abs=0.06)
    assert np.array_equal(moved_y, y)


def test_colour_moves_by_lines(tmp_path):
    ramp = np.tile((128 + 50 * np.tanh((np.arange(HEIGHT) - 48) / 5))[:, None], (1, WIDTH // 2))
    y = np.full((HEIGHT, WIDTH), 110.0)
    _, u, _ = planes(filtered(tmp_path, (y, ramp, ramp), chroma_shift_lines=-3))
    assert crossing(u[:, 20], 128.5) - crossing(ramp[:, 20], 128.5) == pytest.approx(-3, abs=0.03)


def test_noise_goes_and_edges_stay(tmp_path):
    rng = np.random.default_rng(3)
    edge = np.where(np.arange(WIDTH) < 96, 60.0, 180.0) * np.ones((HEIGHT, 1))
    noisy = [(edge + rng.normal(0, 4, edge.shape), GREY, GREY) for _ in range(12)]
    y, _, _ = planes(filtered(tmp_path, *noisy, preset="fast", sharpen=0.0))
    assert y[:, :90].std() < 0.8 * 4
    assert y[:, 98:].mean() - y[:, :94].mean() == pytest.approx(120, abs=1)


def test_the_crop_takes_the_lines_it_says(tmp_path):
    lines = np.tile(np.arange(HEIGHT)[:, None] + 20.0, (1, WIDTH))
    crop = {"crop_top_lines": 2, "crop_bottom_lines": 8, "crop_left_samples": 3}
    y, _, _ = planes(filtered(tmp_path, (lines, GREY, GREY), **crop), WIDTH - 4, HEIGHT - 10)
    assert (y[0, 0], y[-1, -1]) == (22, 20 + HEIGHT - 9)
