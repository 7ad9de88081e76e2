"""VRT on a real GPU: the processor's answer, half precision, and the memory it was said to need."""

SMALL = """
import torch
from tapemill.devices.device import open_device
from vrt_networks import clip_for, small_network

# Convolutions would else be done in a shorter format on some GPUs.
torch.backends.cudnn.allow_tf32 = False
place = open_device(device)
network = small_network(pa_frames=6, upscale=2)
clip = clip_for(network, 5)
expected = network(clip)


def error(answer):
    return ((answer.float().cpu() - expected).abs().mean() / expected.std()).item()


"""


def test_the_gpu_answers_as_the_processor(on_gpu):
    code = SMALL + "tell(error(network.to(place)(clip.to(place))))"
    assert on_gpu(code) < 2e-3


def test_half_precision_comes_close(on_gpu):
    code = SMALL + "tell(error(network.to(place).half()(clip.to(place).half())))"
    assert on_gpu(code) < 0.06


def test_memory_is_what_was_estimated(on_gpu):
    code = """
    import torch
    from tapemill.devices.device import open_device
    from tapemill.enhance.vrt import CHECKPOINTS, VRT, activation_bytes
    place = open_device(device)
    module = torch.get_device_module(place)
    ratios = []
    for number, size in ((0, (6, 128, 128)), (7, (12, 192, 192))):
        given = CHECKPOINTS[number].config
        network = VRT(**given.as_mapping()).half().to(place)
        clip = torch.rand(1, size[0], given.channels_in, *size[1:]).half().to(place)
        module.synchronize()
        before = module.memory_allocated()
        module.reset_peak_memory_stats()
        network(clip)
        module.synchronize()
        taken = module.max_memory_allocated() - before
        ratios.append(activation_bytes(given, *size, 2, place.type).peak_bytes / taken)
        del network
    tell(ratios)
    """
    assert all(0.5 < ratio < 2 for ratio in on_gpu(code))
