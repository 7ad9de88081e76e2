"""The device layer with a real GPU: memory, precision, and what running out of memory looks like."""


def test_the_gpu_is_opened_and_computes_in_half_precision(on_gpu):
    code = """
    import torch
    from tapemill.devices.device import dtype_for, open_device
    place = open_device(device)
    left, right = (torch.rand(512, 512, generator=torch.Generator().manual_seed(seed)) for seed in (1, 2))
    on_gpu = (left.half().to(place) @ right.half().to(place)).float().cpu()
    exact = left @ right
    error = ((on_gpu - exact).abs() / exact).max().item()
    tell([str(place), str(dtype_for(device)), error])
    """
    place, dtype, error = on_gpu(code)
    assert place in {"xpu:0", "cuda:0"}
    assert dtype in {"torch.float16", "torch.bfloat16", "torch.float32"}
    # Sums of 512 products of numbers with 11 bits; the sum itself is rounded to 11 bits.
    assert error < 2e-3


def test_memory_figures_are_possible(gpu, on_gpu):
    code = """
    import torch
    from tapemill.devices.memory import budget_bytes
    from tapemill.devices.device import Device, open_device
    place = open_device(device)
    whole = budget_bytes(device)
    half = budget_bytes(Device(kind, memory_share=0.5))
    taken = torch.empty(1 << 30, dtype=torch.uint8, device=place)
    tell([whole, half, budget_bytes(device)])
    """
    whole, half, after = on_gpu(code)
    assert 1 << 30 < whole <= gpu.total_bytes
    assert half <= gpu.total_bytes // 2
    assert whole - after > 900 << 20


def test_running_out_of_memory_is_told_and_survived(on_gpu):
    code = """
    import torch
    from tapemill.devices.errors import translate_device_errors
    from tapemill.devices.device import open_device
    from tapemill.core.errors import OutOfMemory
    place = open_device(device)
    held = []
    try:
        with translate_device_errors(device):
            while True:
                # Below the 4 GiB that a single tensor may have on an A770.
                held.append(torch.ones(1 << 30, dtype=torch.uint8, device=place))
    except OutOfMemory as error:
        said, count = str(error), len(held)
    held.clear()
    tell([said, count, torch.ones(8, device=place).sum().item()])
    """
    said, count, total = on_gpu(code)
    assert said
    assert count > 0
    assert total == 8


def test_a_share_of_the_memory_is_a_limit(gpu, on_gpu):
    code = """
    import torch
    from tapemill.devices.errors import translate_device_errors
    from tapemill.devices.device import Device, open_device
    from tapemill.core.errors import OutOfMemory
    place = open_device(Device(kind, memory_share=0.25))
    held = []
    try:
        with translate_device_errors(device):
            while True:
                held.append(torch.ones(256 << 20, dtype=torch.uint8, device=place))
    except OutOfMemory:
        tell(len(held) * (256 << 20))
    """
    assert on_gpu(code) <= gpu.total_bytes // 4
