"""The whole network: against recorded answers of the official one, and against `plain_vrt`."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from tapemill.core.errors import ConfigError, ModelError, SceneError
from tapemill.enhance.vrt import VRT, chunking, config, spynet
from tapemill.enhance.vrt.checkpoints import CHECKPOINTS, identify_checkpoint, state_dict_of
from tapemill.enhance.vrt.config import VrtConfig
from tests.support.project import ROOT
from tests.support.reference_vrt import Plain, plain_vrt
from tests.support.vrt_networks import RECORDED, SMALL, clip_for, official_keys, recorded, small_network

here = pytest.mark.skipif(not RECORDED.is_dir(), reason="the recorded networks are not beside the checkout")


def on_meta(task):
    with torch.device("meta"):
        return VRT(**task.config.as_mapping())


def load(about, arrays):
    network = VRT(**about["constructor"]).eval()
    state = {key[3:]: torch.from_numpy(arrays[key]) for key in arrays.files if key.startswith("sd/")}
    network.load_state_dict(state, strict=True)
    return network


@here
@pytest.mark.parametrize("name", ["p1_sr4_pa2", "p2_deblur_pa4"])
def test_a_recorded_network_answers_as_the_official_code_did(name):
    about, arrays, _ = recorded(name)
    answer = load(about, arrays)(torch.from_numpy(arrays["input"]))
    assert answer.dtype == torch.float32
    np.testing.assert_allclose(answer, arrays["output"], rtol=0, atol=about["suggested_atol"])


@here
@pytest.mark.parametrize("name", ["p1_sr4_pa2", "p2_deblur_pa4"])
@torch.no_grad()
def test_flows_and_first_stages_are_the_recorded_ones(name):
    about, arrays, trace = recorded(name)
    network = load(about, arrays)
    images = torch.from_numpy(arrays["input"])
    flows = spynet.flows_of(network.spynet, images, network.config.neighbours)
    for direction in ("backward", "forward"):
        for scale, by_distance in enumerate(getattr(flows, direction)):
            for distance, found in enumerate(by_distance):
                compare(found, trace[f"flows_{direction}[{4 * distance + scale}]"][0], 1e-5)
    features = network._shallow_features(images, flows)
    compare(features.permute(0, 4, 1, 2, 3), trace["conv_first"][0], 1e-5)
    first = network.stage1(features, flows.backward[0], flows.forward[0], network.tables)
    compare(first.permute(0, 4, 1, 2, 3), trace["stage1"][0], 1e-3)


def compare(found, record, tolerance):
    assert list(found.shape) == record["shape"]
    places = np.linspace(0, found.numel() - 1, 12).astype(int)
    np.testing.assert_allclose(
        found.flatten()[places], record["samples_at_linspace_0_to_numel-1_12pts"], rtol=0, atol=tolerance
    )
    assert found.std().item() == pytest.approx(record["std"], rel=1e-4)


@here
@pytest.mark.parametrize("task", CHECKPOINTS, ids=lambda task: task.name[:3])
def test_names_shapes_and_dtypes_are_those_of_the_official_state_dict(task):
    state = on_meta(task).state_dict()
    found = {name: (tuple(tensor.shape), str(tensor.dtype).removeprefix("torch.")) for name, tensor in state.items()}
    assert found == official_keys(task.name)
    assert list(found) == list(official_keys(task.name))


@here
@pytest.mark.parametrize("task", CHECKPOINTS, ids=lambda task: task.name[:3])
def test_a_task_has_the_official_arguments(task):
    official = json.loads((RECORDED / "configs.json").read_text())["tasks"][task.name]["kwargs_full"]
    ours = {name: list(v) if isinstance(v, tuple) else v for name, v in task.config.as_mapping().items()}
    assert ours == official | {"norm_layer": None}
    assert identify_checkpoint(on_meta(task).state_dict()).config == task.config


@pytest.mark.parametrize(("number", "millions"), [(1, 30.68), (2, 35.13), (3, 32.58), (8, 18.32), (9, 9.94)])
def test_parameters_are_as_many_as_the_official_ones(number, millions):
    count = sum(parameter.numel() for parameter in on_meta(CHECKPOINTS[number - 1]).parameters())
    assert round(count / 1e6, 2) == millions


VARIANTS = {
    "three neighbours, enlarged, frames padded to the window": ({"pa_frames": 6, "upscale": 2}, (1, 5, 40, 48)),
    "two neighbours, window cut in time": (
        {"pa_frames": 4, "window_size": [6, 4, 4], "deformable_groups": 4},
        (1, 4, 40, 40),
    ),
    "two clips, noise level, two frames": ({"nonblind_denoising": True}, (2, 2, 40, 40)),
    "odd frames, windows padded on all sides": ({"window_size": [2, 5, 4]}, (1, 3, 40, 48)),
    "interpolation": ({"pa_frames": 0, "window_size": [2, 4, 4], "indep_reconsts": []}, (2, 4, 40, 32)),
    "interpolation of two frames": ({"pa_frames": 0, "out_chans": 6}, (1, 4, 32, 32)),
    "windows cut in space, no mutual attention": ({"depths": [1] * 9, "window_size": [2, 8, 8]}, (1, 3, 40, 40)),
    "own scale, no bias, wider layers": (
        {"qk_scale": 0.3, "qkv_bias": False, "mlp_ratio": 2.5, "mul_attn_ratio": 0.5, "pa_frames": 2},
        (1, 2, 40, 40),
    ),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_network_answers_as_the_plain_one(variant):
    changes, (count, *size) = VARIANTS[variant]
    # In double precision: random weights amplify float noise, on some processors beyond any bound that means something.
    network = small_network(**changes).double()
    clip = clip_for(network, *size, count=count).double()
    answer = network(clip)
    expected = plain_vrt(network.state_dict(), network.config.as_mapping(), clip)
    assert answer.shape == expected.shape
    assert expected.std() > 0.1
    # A wrong neighbour, mask or order is seen in the first digit.
    torch.testing.assert_close(answer, expected, rtol=0, atol=1e-3)


@pytest.mark.long
def test_pieces_change_nothing(monkeypatch):
    network = small_network(pa_frames=6, upscale=2, window_size=[2, 5, 4], nonblind_denoising=True)
    clip = clip_for(network, 5, 40, 40, count=2)
    whole = network(clip)
    monkeypatch.setattr(chunking, "CPU_CHUNK_BYTES", 200_000)
    torch.testing.assert_close(network(clip), whole, rtol=0, atol=1e-3)


def test_an_answer_depends_on_weights_and_size_alone():
    network, other = small_network(0), small_network(1)
    small, large = clip_for(network, 3), clip_for(network, 4, 48, 40)
    first = network(small)
    network(large)
    torch.testing.assert_close(network(small), first, rtol=0, atol=0)
    expected = other(small)
    network.load_state_dict(other.state_dict())
    torch.testing.assert_close(network(small), expected, rtol=0, atol=0)
    with torch.no_grad():
        network.stage1.residual_group2.blocks[0].attn.relative_position_bias_table.add_(
            torch.linspace(0, 3, 5 * 7 * 7)[:, None]
        )
    assert (network(small) - expected).abs().max() > 1e-3


def test_tables_of_a_checkpoint_are_the_ones_used():
    network = small_network()
    clip = clip_for(network, 3)
    before = network(clip)
    state = network.state_dict()
    state["stage1.residual_group1.blocks.0.attn.position_bias"] = torch.zeros(1, 16, 12)
    network.load_state_dict(state)
    assert (network(clip) - before).abs().max() > 1e-4


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_weights_come_close(dtype):
    network = small_network(pa_frames=4, upscale=2, deformable_groups=4)
    clip = clip_for(network, 4)
    expected = network(clip)
    network.to(dtype)
    answer = network(clip.to(dtype))
    assert answer.dtype == dtype
    # A bfloat16 has 8 bits.
    allowed = {torch.float16: 0.06, torch.bfloat16: 0.4}[dtype] * expected.std()
    assert (answer.float() - expected).abs().mean() < allowed
    # The flows' network may stay float32, and a float32 clip gets a float32 answer.
    network.spynet.float()
    answer = network(clip)
    assert answer.dtype == torch.float32
    assert (answer - expected).abs().mean() < allowed


def test_flows_are_float32_whatever_the_weights_are():
    network = small_network(pa_frames=4, deformable_groups=4).half()
    clip = clip_for(network, 4).half()
    flows = spynet.flows_of(network.spynet, clip, 2)
    exact = Plain({name: t.float() for name, t in network.state_dict().items()}, {"pa_frames": 4})
    backward, _ = exact.flows(clip[0].float())
    for distance in range(2):
        found = flows.backward[0][distance][0]
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, backward[distance][0], rtol=0, atol=0.01)


def test_importing_the_package_and_its_tasks_leaves_torch_alone():
    code = "import sys, tapemill.enhance.vrt.checkpoints, tapemill.enhance.vrt.memory; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / "scripts", capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"spynet_path": "spynet.pth"}, "spynet_path"),
        ({"depth": 3}, "'depth'"),
        ({"depths": [2] * 8}, "one length"),
        ({"embed_dims": [12, 24, 24, 24, 24, 24, 16, 16, 16]}, "backwards"),
        ({"embed_dims": [12, 24, 24, 24, 24, 24, 12, 16, 20]}, "one width"),
        ({"num_heads": [2] * 8 + [3]}, "3 heads"),
        ({"pa_frames": 3}, "0, 2, 4 or 6"),
        ({"pa_frames": 4, "deformable_groups": 3}, "3 deformable groups"),
        ({"upscale": 3}, "1, 2, 4 or 8"),
        ({"pa_frames": 0, "upscale": 2}, "interpolates"),
        ({"out_chans": 4}, "RGB"),
        ({"norm_layer": "BatchNorm"}, "BatchNorm"),
        ({"indep_reconsts": [9]}, "indep_reconsts"),
    ],
)
def test_arguments_that_cannot_be_are_refused(changes, said):
    with pytest.raises(ConfigError, match=said):
        VRT(**SMALL | changes)


def test_training_arguments_are_taken_and_without_effect():
    training = {"drop_path_rate": 0.5, "use_checkpoint_attn": True, "no_checkpoint_ffn_blocks": [1], "norm_layer": None}
    network, trained = small_network(), small_network(**training)
    clip = clip_for(network, 2)
    torch.testing.assert_close(trained.train()(clip), network(clip), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((1, 2, 3, 40, 44), "width that is a multiple of 8 and at least 40, not 44"),
        ((1, 2, 3, 32, 40), "height that is a multiple of 8 and at least 40, not 32"),
        ((1, 1, 3, 40, 40), "at least 2 frames, not 1"),
        ((1, 2, 4, 40, 40), "3, H, W"),
        ((2, 3, 40, 40), "N, D"),
    ],
)
def test_a_clip_that_does_not_fit_is_refused(shape, said):
    with pytest.raises(SceneError, match=said):
        small_network()(torch.zeros(shape))


def test_what_the_official_tasks_need_of_a_clip():
    needs = {task.name[:3]: (task.config.least_frames, task.config.least_sides) for task in CHECKPOINTS}
    assert needs["001"] == (2, (64, 64))
    assert needs["002"] == (4, (64, 64))
    assert needs["003"] == (3, (64, 64))
    assert needs["009"] == (4, (64, 64))
    assert [task.config.temporal_window for task in CHECKPOINTS] == [6, 8, 8, 8, 6, 6, 6, 6, 4]
    assert CHECKPOINTS[7].config.channels_in == 4
    assert VrtConfig(**SMALL | {"pa_frames": 0}).least_sides == (32, 32)
    assert config.SCALES[3] == CHECKPOINTS[0].config.side_multiple
    with pytest.raises(SceneError, match="exactly 4"):
        CHECKPOINTS[8].config.check_clip((1, 6, 3, 64, 64))
    with pytest.raises(ConfigError, match="16 deformable groups"):
        VrtConfig().check_clip((1, 6, 3, 64, 64))


def test_a_state_dict_of_no_task_is_refused():
    with pytest.raises(ModelError, match="windows of 16/48 tokens") as caught:
        identify_checkpoint(small_network().state_dict(), "weights.pth")
    assert caught.value.file is not None
    with pytest.raises(ModelError, match=r"it begins with body\.weight"):
        identify_checkpoint({"body.weight": torch.zeros(3)})
    with pytest.raises(ModelError, match="begins with nothing"):
        identify_checkpoint({})
    assert state_dict_of({"params": {"a": 1}}) == {"a": 1}
    assert state_dict_of({"a": 1}) == {"a": 1}
