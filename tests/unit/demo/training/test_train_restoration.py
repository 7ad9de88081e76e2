import json

import numpy as np
import pytest
from safetensors import safe_open

from demo.tape import vhs_degradation
from demo.tape.make_capture import planar_420
from demo.training import degraded_pairs, evaluate_restoration, train_restoration
from demo.training.degraded_pairs import FULL, SETTINGS, Pairs, Size
from demo.training.random_clips import random_paint
from demo.training.train_restoration import Learner, TrainingSettings
from tapemill.core.errors import InputError
from tapemill.enhance.networks.inspect_weights import frame_descriptor
from tapemill.media.ffmpeg import runner as ffmpeg
from tapemill.models import Model, read_lock
from tapemill.models.weights_io import load_state_dict
from tapemill.storage import fingerprint
from tests.support.project import ROOT

NO_FILTER = {"preset": "none", "crop_bottom_lines": 10}
TINY = TrainingSettings(features=6, convs=1, steps=30, batch=4, learning_rate=5e-3, threads=1)
LUMA = np.array([0.299, 0.587, 0.114])[:, None, None]


@pytest.fixture
def one_thread():
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def blurred_pairs():
    """Random blocks and the same with a tint, which a small network soon takes off."""
    blocks = np.random.default_rng(1).integers(8_000, 50_000, (24, 3, 6, 6), dtype=np.uint16)
    truth = blocks.repeat(4, axis=2).repeat(4, axis=3)
    tint = np.array([3000, 0, 6000], np.uint16)[:, None, None]
    return Pairs(truth + tint, truth)


def save(pairs, path):
    np.savez(path, seen=pairs.seen, truth=pairs.truth)
    return path


def test_a_random_scene_is_the_same_each_time_and_moves():
    one, again, other = random_paint(4), random_paint(4), random_paint(5)
    assert np.array_equal(one(3), again(3))
    assert one(3).shape == (576, 720, 3)
    assert not np.array_equal(one(3), other(3))
    assert any(not np.array_equal(draw(0), draw(5)) for draw in (one, other))


def test_an_unworn_tape_keeps_the_picture():
    picture = random_paint(7)(0)
    captured = vhs_degradation.VhsTape(1, vhs_degradation.UNWORN).play(0, picture, picture)
    assert np.array_equal(captured.luma[:566], picture[:566, :, 0])
    pairs_of_chroma = (picture[:566, 0::2, 1:].astype(int) + picture[:566, 1::2, 1:]) / 2
    assert np.abs(captured.chroma[:566] - pairs_of_chroma).max() <= 0.5


def test_patches_lie_where_their_truth_lies(tmp_path):
    size = Size(clips=1, frames=2, settled_ticks=1, ticks=3, patches=1, side=566)
    pairs = degraded_pairs.patches_of_clip((3, 0), size, NO_FILTER, tmp_path, vhs_degradation.UNWORN)
    wrong = np.abs(((pairs.seen.astype(float) - pairs.truth) * LUMA).sum(1)) / 257
    # Ticks 1 to 3: an odd one has the bottom field's lines from the tape, the others from the deinterlacer.
    own = [wrong[number][tick % 2 :: 2].mean() for number, tick in enumerate((1, 2, 3))]
    made_up = [wrong[number][1 - tick % 2 :: 2].mean() for number, tick in enumerate((1, 2, 3))]
    assert max(own) < 0.7
    assert all(one < other for one, other in zip(own, made_up, strict=True))
    # Another tick, and a line further down, are something else.
    assert np.abs(((pairs.seen[1:].astype(float) - pairs.truth[:-1]) * LUMA).sum(1)).mean() / 257 > 5
    assert np.abs(((pairs.seen[:, :, 1:].astype(float) - pairs.truth[:, :, :-1]) * LUMA).sum(1)).mean() / 257 > 1.5


def test_the_same_seed_gives_the_same_pairs_whatever_the_threads(tmp_path):
    size = Size(clips=2, frames=2, settled_ticks=2, ticks=1, patches=2, side=32)
    for threads in (1, 2):
        degraded_pairs.make_pairs(
            target=tmp_path / f"{threads}.npz", seed=3, size=size, settings=SETTINGS, threads=threads
        )
    one, other = (degraded_pairs.load_pairs(tmp_path / f"{threads}.npz") for threads in (1, 2))
    assert one.seen.shape == one.truth.shape == (4, 3, 32, 32)
    assert np.array_equal(one.seen, other.seen)
    assert np.array_equal(one.truth, other.truth)
    assert (tmp_path / "1.npz").read_bytes() == (tmp_path / "2.npz").read_bytes()
    assert not np.array_equal(one.truth[0], one.truth[2])


def test_missing_pairs_are_named(tmp_path):
    with pytest.raises(InputError, match="make_restoration_pairs"):
        degraded_pairs.load_pairs(tmp_path / "none.npz")


def test_black_white_and_colours_are_what_they_are_in_rgb():
    colours = np.array([[[16, 128, 128], [235, 128, 128], [81, 90, 240]]], np.uint8)
    assert np.abs(degraded_pairs.to_rgb(colours)[:, 0].T / FULL - [[0, 0, 0], [1, 1, 1], [1, 0, 0]]).max() < 0.01


def test_a_new_network_changes_nothing(one_thread):
    import torch

    network, seen = train_restoration.new_network(6, 2), torch.rand(1, 3, 20, 24)
    assert torch.equal(network(seen), seen)


def test_training_lowers_the_loss_and_can_be_repeated_bit_for_bit(one_thread, tmp_path, blurred_pairs):
    import torch

    pairs = save(blurred_pairs, tmp_path / "pairs.npz")
    for name in ("one", "again"):
        train_restoration.train_network(pairs=pairs, model=tmp_path / f"{name}.safetensors", settings=TINY)
    assert (tmp_path / "one.safetensors").read_bytes() == (tmp_path / "again.safetensors").read_bytes()
    learner = Learner(TINY)
    batch = [torch.from_numpy(planes.astype(np.float32) / FULL) for planes in (blurred_pairs.seen, blurred_pairs.truth)]
    before = learner.loss(*batch).item()
    learner.network.load_state_dict(load_state_dict(tmp_path / "one.safetensors"))
    assert learner.loss(*batch).item() < 0.5 * before
    assert learner.psnr_db(blurred_pairs)[1] > learner.psnr_db(blurred_pairs)[0]


def test_an_exported_network_is_a_compact_one_for_spandrel_and_says_where_it_is_from(
    one_thread, tmp_path, blurred_pairs
):
    pairs = save(blurred_pairs, tmp_path / "pairs.npz")
    target = tmp_path / "network.safetensors"
    train_restoration.export(Learner(TINY), target, pairs)
    loaded = frame_descriptor(load_state_dict(target), target)
    assert (loaded.architecture.id, loaded.scale, loaded.input_channels, loaded.output_channels) == ("Compact", 1, 3, 3)
    with safe_open(target, framework="np") as opened:
        made_by = json.loads(opened.metadata()["made_by"])
    assert (made_by["features"], made_by["convs"], made_by["seed"]) == (6, 1, 0)


def test_a_network_that_changes_nothing_is_as_good_as_the_filters(one_thread, tmp_path, blurred_pairs):
    picture = random_paint(9)(0)
    tape = vhs_degradation.VhsTape(1)
    raw = tmp_path / "capture.yuv"
    raw.write_bytes(b"".join(tape.play(frame, picture, picture).planes() for frame in range(3)))
    layout = ("-f", "rawvideo", "-pixel_format", "yuv422p", "-video_size", "720x576", "-framerate", "25")
    capture, truth = tmp_path / "capture.mkv", tmp_path / "truth.mkv"
    ffmpeg.run(
        [*ffmpeg.input_args(raw, options=layout), "-c:v", "ffv1", *ffmpeg.output_args(capture, "matroska")],
        concerns=capture,
        timeout_s=60,
    )
    raw.write_bytes(planar_420(picture) * 6)
    layout = ("-f", "rawvideo", "-pixel_format", "yuv420p", "-video_size", "720x576", "-framerate", "50")
    ffmpeg.run(
        [*ffmpeg.input_args(raw, options=layout), "-c:v", "ffv1", *ffmpeg.output_args(truth, "matroska")],
        concerns=truth,
        timeout_s=60,
    )
    target = tmp_path / "network.safetensors"
    train_restoration.export(Learner(TINY), target, save(blurred_pairs, tmp_path / "pairs.npz"))
    network = Model(str(target), "frame", target, fingerprint.sha256(target), scale=1)
    compare = evaluate_restoration.restore_and_compare
    fast, good = (
        compare(capture, truth, {**evaluate_restoration.OF_THE_DEMO, "preset": preset}, network, tmp_path, 3)
        for preset in ("fast", "good")
    )
    assert fast["psnr_y_db"] > 20
    assert good["psnr_y_db"] == pytest.approx(fast["psnr_y_db"], abs=0.2)
    assert good["psnr_all_db"] == pytest.approx(fast["psnr_all_db"], abs=0.4)
    assert good["ssim_all"] == pytest.approx(fast["ssim_all"], abs=0.02)
    assert good != fast


def test_the_committed_network_is_the_recipes():
    path = ROOT / "resources" / "models" / "demo-compact.safetensors"
    assert path.stat().st_size < 1_000_000
    descriptor = frame_descriptor(load_state_dict(path), path)
    assert (descriptor.architecture.id, descriptor.scale) == ("Compact", 1)
    with safe_open(path, framework="np") as opened:
        made_by = json.loads(opened.metadata()["made_by"])
    recipe = TrainingSettings()
    assert (made_by["features"], made_by["convs"], made_by["steps"]) == (recipe.features, recipe.convs, recipe.steps)
    pin = read_lock(ROOT / "config" / "models.lock")["demo-compact"]
    assert pin["sha256"] == fingerprint.sha256(path)
