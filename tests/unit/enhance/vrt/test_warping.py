import pytest
import torch

from tapemill.enhance.vrt import chunking, spynet, stages, warping
from tapemill.enhance.vrt import deform_conv as ours
from tapemill.enhance.vrt.config import VrtConfig
from tapemill.enhance.vrt.layers import Rescale
from tests.support.reference_vrt import Plain, bilinear, clamped, deformable, four, warp
from tests.support.vrt_networks import SMALL, clip_for, small_network


def far_flow(count, height, width):
    """Moves of up to 6 pixels: many lead out of a small picture."""
    return torch.rand(count, 2, height, width) * 12 - 6


@pytest.mark.parametrize(("padding", "how"), [("zeros", bilinear), ("border", clamped)])
def test_flow_warp(padding, how):
    torch.manual_seed(0)
    images, move = torch.rand(2, 5, 9, 7), far_flow(2, 9, 7)
    torch.testing.assert_close(warping.flow_warp(images, move, padding), warp(images, move, how), rtol=0, atol=1e-5)


def test_nearest4():
    torch.manual_seed(0)
    images, move = torch.rand(2, 3, 9, 7), far_flow(2, 9, 7)
    move[0, :, :4] = move[0, :, :4].round()
    assert torch.equal(warping.nearest4(images, move), warp(images, move, four))


@pytest.mark.parametrize("piece", [4 << 20, 3000])
@pytest.mark.parametrize(("channels", "groups", "out", "offset_groups"), [(6, 1, 4, 3), (8, 2, 4, 4), (12, 3, 6, 4)])
def test_deformable_convolution_with_groups(monkeypatch, piece, channels, groups, out, offset_groups):
    monkeypatch.setattr(chunking, "CPU_CHUNK_BYTES", piece)
    torch.manual_seed(0)
    height, width = 7, 9
    x = torch.randn(2, channels, height, width)
    offset = torch.randn(2, offset_groups * 18, height, width) * 4
    mask = torch.rand(2, offset_groups * 9, height, width)
    weight, bias = torch.randn(out, channels // groups, 3, 3), torch.randn(out)
    found = ours._sampled(x, offset, mask, weight, bias)
    expected = [deformable(*one, weight, bias) for one in zip(x, offset, mask, strict=True)]
    torch.testing.assert_close(found, torch.stack(expected), rtol=0, atol=1e-4)


def test_deformable_convolution_of_a_picture_one_pixel_wide():
    x, offset = torch.ones(1, 1, 3, 1), torch.zeros(1, 18, 3, 1)
    found = ours._sampled(x, offset, torch.ones(1, 9, 3, 1), torch.ones(1, 1, 3, 3), torch.zeros(1))
    torch.testing.assert_close(found.flatten(), torch.tensor([2.0, 3.0, 2.0]))


def test_without_torchvision_there_is_no_native_operator_and_with_one_it_agrees():
    torch.manual_seed(0)
    if not ours.has_native("cpu"):
        assert not ours.has_native("xpu")
        return
    x, offset, mask = torch.randn(2, 12, 7, 9), torch.randn(2, 72, 7, 9) * 4, torch.rand(2, 36, 7, 9)
    weight, bias = torch.randn(6, 4, 3, 3), torch.randn(6)
    native = ours._native(x, offset, mask, weight, bias)
    torch.testing.assert_close(native, ours._sampled(x, offset, mask, weight, bias), rtol=0, atol=1e-4)


def test_flows_over_more_frames_add_up():
    """Flows that are the same everywhere in a picture, 2^t pixels for pair t: their sums tell which were added."""
    frames = 6
    step = (2.0 ** torch.arange(frames - 1)).view(1, -1, 1, 1, 1).expand(1, -1, 2, 80, 80) / 4
    for backward in (True, False):
        sign = 1 if backward else -1
        flows = spynet._longer_flows(sign * step, 3, backward=backward)
        middle = [(sign * 4 * found[0, :, 0, 40, 40]).round().int().tolist() for found in flows]
        assert middle == [[1, 2, 4, 8, 16], [3, 6, 12, 24], [7, 14, 28]]


def test_spynet_with_odd_levels():
    """72×104 is brought to 96×128, whose levels have a side of 3."""
    network = small_network(pa_frames=6)
    with torch.no_grad():
        for level in network.spynet.basic_module:
            level.basic_module[8].weight.mul_(10)
    clip = clip_for(network, 4, 72, 104)
    flows = spynet.flows_of(network.spynet, clip, 3)
    backward, forward = Plain(network.state_dict(), {"pa_frames": 6}).flows(clip[0])
    assert backward[0][0].std() > 0.1
    for found, expected in ((flows.backward, backward), (flows.forward, forward)):
        for scale, distance in [(s, d) for s in range(4) for d in range(3)]:
            torch.testing.assert_close(found[scale][distance][0], expected[distance][scale], rtol=0, atol=1e-4)


@pytest.mark.parametrize(("neighbours", "piece"), [(1, 4 << 20), (2, 4 << 20), (3, 4 << 20), (3, 20_000)])
def test_each_frame_is_aligned_with_its_own_neighbours(monkeypatch, neighbours, piece):
    """With no flow, no offsets and a kernel that copies, output part j is neighbour j."""
    monkeypatch.setattr(chunking, "CPU_CHUNK_BYTES", piece)
    given = VrtConfig(**SMALL | {"pa_frames": 2 * neighbours, "deformable_groups": 2 * neighbours})
    stage = stages.Stage(given, 0)
    channels, frames = given.embed_dims[0], 5
    with torch.no_grad():
        stage.pa_deform.weight.zero_()
        # The mask is a sigmoid of nothing: a half.
        stage.pa_deform.weight[torch.arange(channels), torch.arange(channels), 1, 1] = 2
    clip = torch.randn(frames, 8, 8, channels)
    flows = [torch.zeros(frames - distance, 2, 8, 8) for distance in range(1, neighbours + 1)]
    share = channels // neighbours
    for step, span in ((1, (0, frames - 1)), (-1, (1, frames)), (1, (3, 4)), (-1, (1, 2)), (1, (2, 4)), (-1, (1, 3))):
        with torch.no_grad():
            aligned = stage._aligned(clip, *span, flows, step)
        for place, frame in enumerate(range(*span)):
            for part in range(neighbours):
                source = frame + step * (part + 1)
                chosen = slice(part * share, (part + 1) * share)
                expected = clip[source, ..., chosen] if 0 <= source < frames else torch.zeros(8, 8, share)
                torch.testing.assert_close(aligned[place, ..., chosen], expected, rtol=0, atol=1e-5)


def test_up_is_the_reverse_of_down():
    clip = torch.randn(1, 2, 4, 6, 8)
    down = Rescale(8, None, "down")._rescale
    up = Rescale(32, None, "up")._rescale
    with torch.no_grad():
        blocks = clip[0].view(2, 2, 2, 3, 2, 8)
        halved = down(clip[0])
        for column, row in ((0, 0), (0, 1), (1, 0), (1, 1)):
            part = (column * 2 + row) * 8
            expected = torch.nn.functional.layer_norm(
                torch.cat([blocks[:, :, r, :, c] for c in (0, 1) for r in (0, 1)], -1), (32,)
            )
            torch.testing.assert_close(halved[..., part : part + 8], expected[..., part : part + 8])
        restored = up(halved)
        torch.testing.assert_close(restored, torch.nn.functional.layer_norm(_raise(halved), (8,)), rtol=0, atol=1e-5)


def _raise(halved):
    """By hand: channels to pixels."""
    count, height, width, channels = halved.shape
    finer = torch.empty(count, 2 * height, 2 * width, channels // 4)
    for column, row in ((0, 0), (0, 1), (1, 0), (1, 1)):
        part = (column * 2 + row) * (channels // 4)
        finer[:, row::2, column::2] = halved[..., part : part + channels // 4]
    return finer
