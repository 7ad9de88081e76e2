"""Scenes through networks, with real ffmpeg, real spandrel and small networks of random weights."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tapemill.core.errors import ModelError, SceneError
from tapemill.devices.device import CPU
from tapemill.devices.model_cache import clear
from tapemill.enhance import enhance_scene, plan_output_format
from tapemill.enhance.chain import NetworkStep
from tapemill.enhance.networks.loader import load_network
from tapemill.enhance.networks.tile_planner import OVERLAP
from tapemill.enhance.networks.tiled_inference import Tiling, run_tiled
from tapemill.media.packets import frame_count
from tapemill.media.probe import probe
from tests.support.media.clips import LOSSLESS, PLAIN, clip_from, clip_of, facts_of, field_scene, samples
from tests.support.networks import compact, network, steps, vrt
from tests.support.progress_log import facts, progressed, tell_all
from tests.support.project import ROOT

MOVING = "testsrc=size={size}:rate=25,scroll=horizontal=0.01,noise=alls=5:allf=t,format={format}"


@pytest.fixture(autouse=True)
def own_state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    yield
    clear()


def enhanced(folder, clip, frames, settings, on_failure="stop", **known):
    target, record = folder / "out" / "clip.mkv", folder / "out" / "clip.json"
    picture = facts_of(clip, **known)
    enhance_scene(
        clip=clip,
        target=target,
        record=record,
        picture=picture,
        frames=frames,
        settings=settings,
        device=CPU,
        on_failure=on_failure,
    )
    return target, json.loads(record.read_text())


@pytest.mark.parametrize("frames", [1, 2, 3, 7, 31, 250])
@pytest.mark.parametrize("order", ["tff", "progressive"])
def test_every_frame_comes_through_at_its_time(tmp_path, frames, order):
    clip = clip_from(tmp_path / "scene.mkv", MOVING.format(size="64x48", format="yuv422p"), frames=frames)
    chain = steps(network(compact(tmp_path / "net.safetensors")), "resize")
    target, record = enhanced(tmp_path, clip, frames, replace(LOSSLESS, chain=chain), field_order=order)
    assert frame_count(target) == record["frames_out"] == frames * (2 if order == "tff" else 1)
    assert record["networks"][0]["precision"] == "float32"


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p", "yuv444p", "yuv422p10le", "bgr0", "gray"])
@pytest.mark.parametrize("size", ["64x48", "65x49", "17x13", "1x1"])
def test_a_network_that_changes_nothing_changes_next_to_nothing(tmp_path, size, pixel_format):
    """The way to RGB and back costs a level of 8 bits at most, whatever the format and size."""
    # Within what RGB holds: networks know no colours beyond.
    width, height = size.split("x")
    colours = f"c0=0x806040:c1=0x4060A0:x0=0:y0=0:x1={width}:y1={height}:seed=1"
    source = f"gradients=size={size}:rate=25:{colours},format={pixel_format}"
    clip = clip_from(tmp_path / "scene.mkv", source, frames=3)
    identity = network(compact(tmp_path / "net.safetensors"))
    results = []
    for name, chain in (("with", steps(identity, "resize")), ("without", steps("resize"))):
        target, _ = enhanced(tmp_path / name, clip, 3, replace(LOSSLESS, chain=chain))
        results.append(samples(target, "yuv444p").astype(int))
        assert probe(target).picture.pixel_format == plan_output_format(facts_of(clip), LOSSLESS).pixel_format
    difference = np.abs(results[0] - results[1])
    assert difference.max() <= 2
    assert difference.mean() < 0.2


def test_ten_bits_keep_more_levels_than_eight(tmp_path):
    width, height = 640, 64
    ramp = np.tile(np.linspace(64, 940, width).astype(np.uint16), (height, 1))
    row = np.concatenate([ramp.ravel(), np.full(height * width, 512, np.uint16)]).view(np.uint8)
    clip = clip_of(tmp_path / "scene.mkv", row[None], "yuv422p10le", (width, height))
    chain = steps(network(compact(tmp_path / "net.safetensors")), "resize")
    target, _ = enhanced(tmp_path, clip, 1, replace(LOSSLESS, chain=chain))
    luma = samples(target, "yuv422p10le")[0].view(np.uint16)[:width]
    assert len(np.unique(luma)) > 500


def test_a_network_that_enlarges_makes_a_larger_picture_and_two_multiply(tmp_path):
    clip = clip_from(tmp_path / "scene.mkv", MOVING.format(size="64x48", format="yuv420p"), frames=2)
    double = network(compact(tmp_path / "net.safetensors", scale=2), scale=2)
    target, record = enhanced(tmp_path, clip, 2, replace(PLAIN, chain=steps(double, double, "resize")))
    assert (probe(target).picture.width, probe(target).picture.height) == (256, 192)
    assert [each["scale"] for each in record["networks"]] == [2, 2]


def test_tiles_change_nothing_that_can_be_seen(tmp_path):
    clip = clip_from(tmp_path / "scene.mkv", MOVING.format(size="320x240", format="yuv420p"), frames=2)
    chain = steps(network(compact(tmp_path / "net.safetensors", gain=1.0)), "resize")
    whole, tiled = (
        samples(
            enhanced(tmp_path / str(side), clip, 2, replace(LOSSLESS, chain=chain, network_tile_samples=side))[0],
            "yuv420p",
        )
        for side in (None, 128)
    )
    assert np.abs(whole.astype(int) - tiled.astype(int)).max() <= 1


@pytest.mark.parametrize("side", [64, 96, 128])
def test_tiles_of_a_trained_network_leave_no_seam_in_a_smooth_picture(side):
    """Less than the noise of half precision near 1, half a unit of 2 ** -10."""
    entry = network(ROOT / "resources" / "models" / "demo-compact.safetensors")["network"]
    trained = load_network(NetworkStep(**entry), PLAIN, CPU)
    down, along = torch.meshgrid(torch.linspace(0, 1, 240), torch.linspace(0, 1, 320), indexing="ij")
    picture = torch.stack([0.3 + 0.4 * along, 0.5 + 0.2 * torch.sin(3 * down + along), 0.6 - 0.3 * down])[None]
    with torch.inference_mode():
        whole = run_tiled(picture, trained, Tiling(1, 0, None, OVERLAP))
        assert (whole - picture).abs().mean() > 2**-8
        assert (run_tiled(picture, trained, Tiling(1, 0, side, OVERLAP)) - whole).abs().max() < 2**-11


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_half_precision_makes_the_same_picture_but_for_its_noise(tmp_path, monkeypatch, precision):
    """As on a GPU; processors can, but are not asked to because they are slow at it."""
    monkeypatch.setattr("tapemill.devices.device._formats", lambda _: (True, True))
    clip = clip_from(tmp_path / "scene.mkv", MOVING.format(size="96x64", format="yuv420p"), frames=3)
    chain = steps(network(compact(tmp_path / "net.safetensors", gain=0.3)), "resize")
    made = {}
    for name in ("fp32", precision):
        target, record = enhanced(tmp_path / name, clip, 3, replace(LOSSLESS, chain=chain, network_precision=name))
        made[name] = samples(target, "yuv420p").astype(int)
    assert record["networks"][0]["precision"] == {"fp16": "float16", "bf16": "bfloat16"}[precision]
    difference = np.abs(made[precision] - made["fp32"])
    assert 0 < difference.mean() < {"fp16": 0.02, "bf16": 0.5}[precision]
    assert difference.max() <= {"fp16": 1, "bf16": 4}[precision]


def test_half_of_the_strength_is_half_of_the_change(tmp_path):
    clip = clip_from(tmp_path / "scene.mkv", "color=0x606060:size=64x64:rate=25,format=yuv420p", frames=3)
    brighter = compact(tmp_path / "net.safetensors", bias=0.2)
    luma = []
    for strength in (0.0, 0.5, 1.0):
        chain = steps(network(brighter, strength=strength), "resize")
        target, _ = enhanced(tmp_path / str(strength), clip, 3, replace(LOSSLESS, chain=chain))
        luma.append(float(samples(target, "yuv420p")[:, : 64 * 64].mean()))
    assert luma[1] == pytest.approx((luma[0] + luma[2]) / 2, abs=0.6)
    assert luma[2] - luma[0] == pytest.approx(0.2 * 219, abs=1)


def test_filters_after_the_network_see_its_result(tmp_path):
    clip = clip_from(tmp_path / "scene.mkv", MOVING.format(size="320x240", format="yuv420p"), frames=3)
    grain = {"filter": "grain", "own": {"grain_levels": 8}}
    made = {}
    for name, last in (("clean", []), ("grain", [grain])):
        chain = steps(network(compact(tmp_path / "net.safetensors")), "sharpen", "resize", *last)
        target, record = enhanced(tmp_path / name, clip, 3, replace(LOSSLESS, chain=chain, sharpen=0.5))
        made[name] = samples(target, "yuv420p").astype(int)
        assert any("cas" in step for step in record["filters_after"])
    difference = (made["grain"] - made["clean"])[:, : 320 * 240]
    assert 1 < difference.std() < 5
    assert abs(difference.mean()) < 0.5


def test_the_same_scene_gives_the_same_bytes(tmp_path):
    clip = clip_from(tmp_path / "scene.mkv", MOVING.format(size="160x120", format="yuv420p"), frames=8)
    chain = steps("denoise", network(compact(tmp_path / "net.safetensors", gain=1.0)), "resize", "grain")
    settings = replace(PLAIN, preset="fast", chain=chain, grain_levels=2.0)
    threads = torch.get_num_threads()
    first, second = (enhanced(tmp_path / name, clip, 8, settings)[0].read_bytes() for name in "ab")
    assert first == second
    # What comes after it in the same worker computes as it would without.
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize(("frames", "width"), [(1, 72), pytest.param(3, 64, marks=pytest.mark.long)])
def test_vrt_sees_a_scene_in_windows_and_tiles_and_leaves_every_frame_in_its_place(tmp_path, frames, width):
    colours = "c0=0x806040:c1=0x4060A0:x0=0:y0=0:x1=64:y1=64:seed=1:speed=0.1"
    moving = f"gradients=size={width}x64:rate=25:{colours},format=yuv444p"
    clip = clip_from(tmp_path / "scene.mkv", moving, frames=frames)
    step = network(vrt(tmp_path / "vrt.pth"), kind="vrt", sigma=12.0)
    made = {}
    for name, chain in (("without", steps("resize")), ("with", steps(step, "resize"))):
        target, record = enhanced(
            tmp_path / name, clip, frames, replace(LOSSLESS, chain=chain, network_tile_samples=64)
        )
        made[name] = samples(target, "yuv444p").astype(int)
    assert (record["networks"][0]["tile_samples"], record["networks"][0]["frames"]) == (64, max(frames, 2))
    assert len(made["with"]) == frames
    assert np.abs(made["with"] - made["without"])[:, : width * 64].max() <= 1


def broken(path, value, **shape):
    compact(path, **shape)
    state = load_file(path)
    state["body.0.bias"] = torch.full_like(state["body.0.bias"], value)
    state["body.4.weight"] = torch.ones_like(state["body.4.weight"])
    save_file(state, path)
    return path


def test_a_network_that_makes_no_numbers_fails_its_scene_and_leaves_nothing(tmp_path):
    clip = clip_from(tmp_path / "scene.mkv", MOVING.format(size="64x48", format="yuv420p"), frames=3)
    chain = steps(network(broken(tmp_path / "net.safetensors", float("nan"))), "resize")
    with pytest.raises(SceneError, match="not finite"):
        enhanced(tmp_path, clip, 3, replace(PLAIN, chain=chain))
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("order", ["tff", "progressive"])
def test_a_scene_that_no_network_can_restore_is_kept_in_the_shape_of_its_tape(tmp_path, order):
    """Deinterlaced and resized as a chain without any step would do it, and a clip that joins the tape's others."""
    clip = clip_from(tmp_path / "scene.mkv", MOVING.format(size="160x120", format="yuv420p"), frames=3)
    good = network(compact(tmp_path / "good.safetensors", scale=2), scale=2)
    bad = network(broken(tmp_path / "bad.safetensors", float("nan"), scale=2), scale=2)
    records, pictures = {}, {}
    for name, step in (("good", [good]), ("kept", [bad]), ("plain", [])):
        settings = replace(PLAIN, chain=steps("denoise", *step, "resize", "grain"), denoise_luma_spatial=9.0)
        if name == "plain":
            settings = replace(PLAIN, chain=steps("resize"), height_lines=240, field_order_by_scene=False)
        target, records[name] = enhanced(
            tmp_path / name, clip, 3, settings, on_failure="keep_original", field_order=order
        )
        pictures[name] = samples(target, "yuv420p")
    assert records["kept"].pop("kept_original") == {
        "error": "SceneError",
        "message": "the network bad.safetensors made values that are not finite",
    }
    assert "kept_original" not in records["good"]
    for key in ("width", "height", "frames_out", "rate", "encoder", "codec_private_sha256", "colour"):
        assert records["kept"][key] == records["good"][key]
    assert records["kept"]["width"] == 320
    assert records["kept"] == records["plain"]
    assert np.array_equal(pictures["kept"], pictures["plain"])


def test_a_network_that_makes_black_fails_its_scene(tmp_path):
    clip = clip_from(tmp_path / "scene.mkv", MOVING.format(size="64x48", format="yuv420p"), frames=3)
    chain = steps(network(compact(tmp_path / "net.safetensors", bias=-2.0)), "resize")
    with pytest.raises(SceneError, match="black frames"):
        enhanced(tmp_path, clip, 3, replace(PLAIN, chain=chain))


def test_a_registry_that_says_another_scale_is_found_out(tmp_path):
    clip = clip_from(tmp_path / "scene.mkv", MOVING.format(size="64x48", format="yuv420p"), frames=1)
    chain = steps(network(compact(tmp_path / "net.safetensors", scale=2), scale=4), "resize")
    with pytest.raises(ModelError, match="upscales by 2, its entry has 4"):
        enhanced(tmp_path, clip, 1, replace(PLAIN, chain=chain))


def test_a_file_that_is_not_the_pinned_one_is_not_loaded(tmp_path):
    clip = clip_from(tmp_path / "scene.mkv", MOVING.format(size="64x48", format="yuv420p"), frames=1)
    step = network(compact(tmp_path / "net.safetensors"))
    compact(tmp_path / "net.safetensors", gain=0.5)
    with pytest.raises(ModelError, match="not the one that was pinned"):
        enhanced(tmp_path, clip, 1, replace(PLAIN, chain=steps(step, "resize")))


@pytest.mark.parametrize("own_order", ["tff", "progressive"])
def test_it_tells_how_many_pictures_came_out_of_the_networks(tmp_path, monkeypatch, caplog, own_order):
    # A progressive scene of an interlaced tape goes through them once, and each picture is shown twice.
    tell_all(monkeypatch, caplog)
    clip = field_scene(tmp_path / "scene.mkv", own_order, 12)
    chain = steps(network(compact(tmp_path / "net.safetensors")), "resize")
    settings = replace(LOSSLESS, chain=chain, field_order_by_scene=True)
    _, record = enhanced(tmp_path, clip, 12, settings, field_order="tff")
    counted = [told["frames"] for told in progressed(caplog)]
    assert counted == list(range(1, 25) if own_order == "tff" else range(2, 25, 2))
    assert {told["total_frames"] for told in progressed(caplog)} == {24}
    assert facts(caplog)["frames"] == record["frames_out"] == 24
    assert facts(caplog)["model"] == [record["networks"][0]["model"]]
