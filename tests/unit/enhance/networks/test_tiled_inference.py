"""The way of a network through a scene, with networks whose result is known."""

import json

import numpy as np
import pytest
import torch

from tapemill.core.errors import GateError, SceneError
from tapemill.enhance.networks.tiled_inference import HalfPrecisionOverflow, Network, Tiling, run_tiled, run_windowed
from tests.support.project import ROOT

VRT_FIXTURES = ROOT.parent / "shared" / "vrt" / "public"
WHOLE = Tiling(1, 0, None, 0)


def network(run, *, scale=1, multiple=1, least_side=1, least_frames=1, margin=0, dtype=torch.float32):
    device = torch.device("cpu")
    return Network("stub", scale, multiple, least_side, least_frames, 1, margin, True, device, dtype, run)


def smooth(frames, height=40, width=56):
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    waves = [torch.sin(rows / 9 + k) + torch.cos(columns / 11 - k / 3) for k in range(3 * frames)]
    return (torch.stack(waves).reshape(frames, 3, height, width) + 2) / 4


def blur(clip):
    """Sees four samples to each side, as a small network does."""
    kernel = torch.ones(3, 1, 9, 9) / 81
    return torch.nn.functional.conv2d(torch.nn.functional.pad(clip, (4, 4, 4, 4), mode="reflect"), kernel, groups=3)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 31, 250])
@pytest.mark.parametrize("tiling", [WHOLE, Tiling(6, 2, None, 0), Tiling(2, 1, 16, 4), Tiling(3, 0, 8, 2)])
def test_every_frame_comes_once_and_in_order(count, tiling):
    frames = torch.linspace(0.1, 0.9, count)[:, None, None, None].expand(count, 3, 10, 18)
    made = list(run_windowed(iter(frames), count, network(lambda clip: clip * 0.5, least_frames=2), tiling))
    assert len(made) == count
    assert torch.allclose(torch.stack(made), frames * 0.5, atol=1e-6)


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (64, 64), (65, 71), (40, 56)])
@pytest.mark.parametrize("scale", [1, 2, 4])
def test_any_size_is_continued_to_what_the_network_takes(size, scale):
    def enlarge(clip):
        assert clip.shape[-2] % 8 == clip.shape[-1] % 8 == 0
        assert min(clip.shape[-2:]) >= 16
        return torch.nn.functional.interpolate(clip, scale_factor=scale, mode="nearest")

    clip = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(1))
    made = run_tiled(clip, network(enlarge, scale=scale, multiple=8, least_side=16), Tiling(2, 0, 24, 8))
    assert torch.allclose(made, torch.nn.functional.interpolate(clip, scale_factor=scale, mode="nearest"), atol=1e-6)


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("size", [(40, 56), (3, 5), (1, 1)])
@pytest.mark.parametrize("tile", [None, 40])
def test_a_margin_keeps_the_black_beyond_from_the_picture(size, scale, tile):
    def darken_borders(clip):
        made = torch.nn.functional.interpolate(clip, scale_factor=scale, mode="nearest")
        return torch.nn.functional.conv2d(made, torch.ones(3, 1, 9, 9) / 81, padding=4, groups=3)

    clip = torch.full((1, 3, *size), 0.5)
    made = run_tiled(clip, network(darken_borders, scale=scale, margin=8, multiple=4), Tiling(1, 0, tile, 20))
    assert made.shape[-2:] == (size[0] * scale, size[1] * scale)
    assert torch.allclose(made, torch.full_like(made, 0.5), atol=1e-5)


def test_tiles_leave_no_seam_in_a_smooth_picture():
    """Less than the noise of half precision near 1, half a unit of 2 ** -10."""
    clip = smooth(3, 150, 170)
    whole = run_tiled(clip, network(blur), WHOLE)
    for side in (32, 48, 64):
        assert (run_tiled(clip, network(blur), Tiling(3, 0, side, 16)) - whole).abs().max() < 2**-11


def test_windows_of_frames_leave_no_jump():
    """A network whose result drifts within its window, as recurrent ones do at their ends."""

    def drift(clip):
        return clip + torch.linspace(-0.05, 0.05, len(clip))[:, None, None, None]

    frames = torch.full((40, 3, 4, 4), 0.5)
    joined = [
        torch.stack(list(run_windowed(iter(frames), 40, network(drift), Tiling(8, overlap, None, 0))))
        for overlap in (0, 4)
    ]
    jumps = [made.mean((1, 2, 3)).diff().abs().max() for made in joined]
    assert jumps[1] < jumps[0] / 2


def test_no_more_than_two_windows_are_held():
    alive = []

    def source():
        for number in range(100):
            alive.append(number)
            yield torch.full((3, 4, 4), 0.5)

    for taken, _ in enumerate(run_windowed(source(), 100, network(lambda clip: clip), Tiling(6, 2, None, 0)), 1):
        assert len(alive) - taken < 12


def test_missing_frames_are_missed():
    with pytest.raises(GateError, match="after 3 of 5 frames"):
        list(run_windowed(iter(smooth(3)), 5, network(lambda clip: clip), WHOLE))


@pytest.mark.parametrize(
    ("wrong", "told"), [(lambda clip: clip * float("nan"), "no numbers"), (lambda clip: clip * 0, "black frames")]
)
def test_a_network_that_makes_no_picture_is_a_scene_error(wrong, told):
    with pytest.raises(SceneError, match=told):
        list(run_windowed(iter(smooth(3)), 3, network(wrong), WHOLE))


def test_a_scene_that_is_black_may_stay_so():
    black = torch.full((3, 3, 8, 8), 0.004)
    assert len(list(run_windowed(iter(black), 3, network(lambda clip: clip * 0), WHOLE))) == 3


def test_half_precision_is_blamed_first():
    with pytest.raises(HalfPrecisionOverflow):
        list(run_windowed(iter(smooth(1)), 1, network(lambda clip: clip * 1e5, dtype=torch.float16), WHOLE))


def stub(scale):
    """The network of the fixtures: what it makes depends on where in its tile a sample is."""

    def run(clip):
        made = torch.nn.functional.interpolate(clip[:, :3], scale_factor=scale, mode="nearest")
        frames, _, rows, columns = made.shape
        made = made + 0.01 * torch.arange(frames)[:, None, None, None]
        return made + 0.001 * torch.arange(rows)[:, None] + 0.0001 * torch.arange(columns)

    return run


@pytest.mark.skipif(not VRT_FIXTURES.is_dir(), reason="the fixtures are not beside this checkout")
def test_plain_tiles_are_those_of_the_authors_of_vrt():
    cases = json.loads((VRT_FIXTURES / "tiling.json").read_text())["cases"]
    data = np.load(VRT_FIXTURES / "tiling.npz")
    assert len(cases) >= 8
    for case in cases:
        clip = torch.from_numpy(data[f"{case['name']}/input"])[0]
        (size, side, _), (overlap_frames, overlap, _) = case["tile"], case["tile_overlap"]
        # Without tiles the pictures are continued to whole windows, with them they are not.
        made_for = network(stub(case["scale"]), scale=case["scale"], multiple=1 if side else case["window_size"][1])
        tiling = Tiling(size or len(clip), overlap_frames, side or None, overlap, "plain")
        made = torch.stack(list(run_windowed(iter(clip), len(clip), made_for, tiling)))
        expected = torch.from_numpy(data[f"{case['name']}/output"])[0]
        assert torch.allclose(made, expected, atol=1e-5), case["name"]
