import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from tapemill.enhance.vrt import chunking
from tapemill.enhance.vrt.checkpoints import CHECKPOINTS
from tapemill.enhance.vrt.memory import activation_bytes
from tests.support.vrt_networks import clip_for, small_network


def allocated(network, clip):
    """Peak and largest piece of what torch allocates while a network runs, in bytes."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        network(clip)
    records = [record for record in profiled.profiler.kineto_results.events() if record.name() == "[memory]"]
    now = peak = largest = 0
    for record in sorted(records, key=lambda record: record.start_ns()):
        now += record.nbytes()
        peak, largest = max(peak, now), max(largest, record.nbytes())
    return peak, largest


@pytest.mark.parametrize("piece", [4 << 20, 500_000])
@pytest.mark.parametrize(
    ("changes", "size"),
    [
        ({"pa_frames": 2, "upscale": 4}, (3, 40, 48)),
        ({"pa_frames": 6, "embed_dims": [24] * 7 + [64] * 2}, (4, 48, 48)),
        ({"pa_frames": 0, "embed_dims": [48] * 7 + [64] * 2, "indep_reconsts": []}, (4, 64, 64)),
    ],
)
def test_the_estimate_is_within_a_factor_of_two(monkeypatch, changes, size, piece):
    monkeypatch.setattr(chunking, "CPU_CHUNK_BYTES", piece)
    network = small_network(**changes)
    peak, largest = allocated(network, clip_for(network, *size))
    estimate = activation_bytes(network.config, *size)
    assert 0.5 < estimate.peak_bytes / peak < 2
    assert 0.5 < estimate.largest_tensor_bytes / largest < 2


@pytest.mark.parametrize("task", CHECKPOINTS, ids=lambda task: task.name[:3])
def test_no_tensor_of_a_usual_tile_reaches_what_an_arc_gpu_can_hold(task):
    frames = task.config.least_frames if task.config.frames_out else 16
    half = activation_bytes(task.config, frames, 256, 256, torch.float16.itemsize, "xpu")
    assert half.largest_tensor_bytes < 1 << 30
    assert half.largest_tensor_bytes < half.peak_bytes < 12 << 30


def test_it_grows_with_frames_and_pixels_alone():
    given = CHECKPOINTS[0].config
    small, longer, larger = (
        activation_bytes(given, *size, 2, "xpu").peak_bytes for size in ((6, 128, 128), (12, 128, 128), (6, 256, 256))
    )
    assert 1.2 < longer / small < 2.1
    # Pieces stay what they are.
    assert 1.2 < larger / small < 4.1
