"""Listing, masking and telling GPUs apart, with real drivers."""

import re

from tapemill.devices import visibility


def test_what_is_listed_makes_sense(all_gpus):
    assert len({gpu.uuid for gpu in all_gpus}) == len(all_gpus)
    assert [gpu.number for gpu in all_gpus] == sorted({gpu.number for gpu in all_gpus})
    for gpu in all_gpus:
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", gpu.uuid)
        assert gpu.name
        assert gpu.total_bytes > 1 << 30
        assert gpu.pci_address == "" or re.fullmatch(r"[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]", gpu.pci_address)
    known = [gpu.pci_address for gpu in all_gpus if gpu.pci_address]
    assert known == sorted(known)


def test_every_lane_gets_its_gpu_and_no_other(all_gpus, on_gpu):
    for gpu in all_gpus:
        seen = on_gpu(
            "from tapemill.devices.enumerate import torch_devices; tell([c.uuid for c in torch_devices(kind)])",
            number=gpu.number,
        )
        assert seen == [gpu.uuid]


def test_the_mask_that_is_shown_selects_the_gpu_by_itself(all_gpus, on_gpu):
    unpinned = "import json, sys\nkind, number = json.loads(sys.argv[1])\n"
    for gpu in all_gpus:
        environ = dict(part.split("=") for part in gpu.mask.split())
        code = "from tapemill.devices.enumerate import torch_devices; tell([c.uuid for c in torch_devices(kind)])"
        assert on_gpu(code, opened=unpinned, **environ) == [gpu.uuid]


def test_a_mask_of_somebody_else_is_kept(gpu, on_gpu):
    environ = {visibility.VISIBILITY[gpu.kind].variable: str(gpu.number)}
    assert on_gpu("tell(gpu.uuid)", number=None, **environ) == gpu.uuid


def test_a_lane_without_a_gpu_is_refused(all_gpus, on_gpu):
    beyond = max(gpu.number for gpu in all_gpus) + 1
    assert "LaneError" in on_gpu("tell(gpu.uuid)", number=beyond, expect=1)


def test_a_gpu_that_is_not_the_recorded_one_is_refused(gpu, on_gpu):
    code = """
    import dataclasses
    from tapemill.core.errors import LaneError
    other = dataclasses.replace(gpu, uuid="00000000-0000-0000-0000-000000000000")
    gpus.expected_gpu = lambda kind, number: other
    try:
        gpus.verify_gpu(kind, number)
    except LaneError as error:
        tell(str(error))
    """
    said = on_gpu(code)
    assert "wrong GPU" in said
    assert gpu.uuid in said
    assert "00000000-0000-0000-0000-000000000000" in said
