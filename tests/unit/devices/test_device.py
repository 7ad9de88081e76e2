"""The device layer against the functions that torch's C++ part offers for Intel's GPUs, and against the CPU."""

import os
import pickle
import random
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tapemill.core.errors import ConfigError, DeviceError, GateError, OutOfMemory, SetupError
from tapemill.devices import device, memory
from tapemill.devices.determinism import seeded
from tapemill.devices.device import CPU, Device, dtype_for, open_device, torch_name
from tapemill.devices.errors import translate_device_errors
from tapemill.devices.ipex import extension_version, optimise
from tapemill.devices.memory import (
    budget_bytes,
    memory_cap,
    memory_info,
    peak_bytes,
    reset_peak,
    start_peak_watch,
    used_bytes,
    watched_peak_bytes,
)

GIB = 1 << 30
ARC = Device("xpu")


class IntelDriver:
    """What torch._C knows of an Intel GPU. Sizes in bytes."""

    def __init__(self):
        self.count, self.total, self.free, self.reserved, self.used = 1, 16 * GIB, 12 * GIB, 3 * GIB, GIB
        self.half, self.brain = True, False
        self.fraction = None
        self.silent = False

    def free_memory_info(self, index):
        if self.silent:
            raise RuntimeError("The device (Arc) doesn't support querying the available free memory. You can file an")
        return self.free, self.total

    def stats(self, index):
        return {
            "allocated_bytes": {"all": {"current": self.used, "peak": self.used}},
            "reserved_bytes": {"all": {"current": self.reserved, "peak": self.reserved}},
        }

    def properties(self, index):
        return SimpleNamespace(total_memory=self.total, has_fp16=self.half, has_bfloat16_conversions=self.brain)

    def set_fraction(self, fraction, index):
        self.fraction = fraction


@pytest.fixture
def intel(monkeypatch):
    driver = IntelDriver()
    for name, answer in {
        "_has_xpu": True,
        "_xpu_init": lambda: None,
        "_xpu_isInBadFork": lambda: False,
        "_xpu_getDeviceCount": lambda: driver.count,
        "_xpu_getDevice": lambda: 0,
        "_xpu_getMemoryInfo": driver.free_memory_info,
        "_xpu_memoryStats": driver.stats,
        "_xpu_setMemoryFraction": driver.set_fraction,
    }.items():
        monkeypatch.setattr(torch._C, name, answer, raising=False)
    monkeypatch.setattr(torch.xpu, "_get_device_properties", driver.properties, raising=False)
    monkeypatch.setattr(torch.xpu, "_initialized", True)
    monkeypatch.setattr(torch.xpu, "_is_in_bad_fork", lambda: False, raising=False)
    monkeypatch.setattr(torch.xpu, "_cached_device_count", None)
    monkeypatch.setattr(torch.version, "xpu", "20250302")
    return driver


def test_the_cpu_is_always_there():
    assert open_device(CPU) == torch.device("cpu")
    assert dtype_for(CPU) is torch.float32


@pytest.mark.parametrize("kind", ["xpu", "cuda", "hip"])
def test_a_build_for_other_gpus_is_named_with_both_ways_out(kind):
    with pytest.raises(SetupError, match="built for cpu") as caught:
        open_device(Device(kind))
    assert torch.__version__ in str(caught.value)
    assert f"make setup DEVICE={'rocm' if kind == 'hip' else kind}`" in caught.value.remedy
    assert "--profile profiles/cpu" in caught.value.remedy


def test_no_gpu_is_an_error(intel):
    intel.count = 0
    with pytest.raises(SetupError, match="sees no Intel GPU") as caught:
        open_device(ARC)
    assert "--profile profiles/cpu" in caught.value.remedy


def test_the_share_reaches_the_allocator_and_a_later_job_has_its_own(intel):
    assert open_device(Device("xpu", memory_share=0.5)) == torch.device("xpu:0")
    assert intel.fraction == 0.5
    open_device(ARC)
    assert intel.fraction == 1.0


@pytest.mark.parametrize(
    ("half", "wish", "dtype"),
    [(True, "auto", torch.float16), (False, "auto", torch.float32), (True, "fp32", torch.float32)],
)
def test_formats_follow_what_the_gpu_says_of_itself(intel, half, wish, dtype):
    intel.half = half
    assert dtype_for(ARC, wish) is dtype


def test_a_format_that_the_device_cannot_do_is_refused(intel):
    with pytest.raises(ConfigError, match="bf16") as caught:
        dtype_for(ARC, "bf16")
    assert "fp16" in caught.value.remedy
    intel.brain = True
    assert dtype_for(ARC, "bf16") is torch.bfloat16
    with pytest.raises(ConfigError, match="fp16"):
        dtype_for(CPU, "fp16")


@pytest.mark.parametrize(("capability", "dtype"), [((6, 1), torch.float32), ((7, 0), torch.float16)])
def test_old_gpus_of_nvidia_compute_in_single_precision(monkeypatch, capability, dtype):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: False)
    assert dtype_for(Device("cuda")) is dtype
    assert torch_name(Device("hip")) == "cuda:0"


def test_memory_that_torch_has_reserved_but_not_used_is_free(intel):
    assert memory_info(ARC) == memory.MemoryInfo(16 * GIB, 14 * GIB)
    intel.free = 2 * GIB
    assert memory_info(ARC).free_bytes == 4 * GIB


@pytest.mark.parametrize(("silent", "free"), [(True, 12 * GIB), (False, 0), (False, 16 * GIB)])
def test_where_the_driver_cannot_be_believed_what_this_process_took_is_counted(intel, silent, free):
    """It refuses to say, says 0, or says the same whatever is taken."""
    intel.silent, intel.free = silent, free
    # Of 16 GiB 3 are reserved, of which 1 is in use.
    assert memory_info(ARC).free_bytes == 15 * GIB


def test_the_budget_is_what_is_free_and_within_the_share(intel):
    assert budget_bytes(ARC) == 14 * GIB
    half = Device("xpu", memory_share=0.5)
    assert memory_cap(half) == 8 * GIB
    # One of the eight is in use; given up, all eight are there.
    assert budget_bytes(half) == 7 * GIB
    assert budget_bytes(half, GIB) == 8 * GIB
    intel.free = 0.5 * GIB
    assert budget_bytes(ARC) == 2.5 * GIB


def test_a_gpu_that_does_not_answer_is_an_error_of_the_device(intel, monkeypatch):
    def lost(index):
        raise RuntimeError("level_zero backend failed with error: 20 (UR_RESULT_ERROR_DEVICE_LOST)")

    monkeypatch.setattr(torch._C, "_xpu_memoryStats", lost)
    with pytest.raises(DeviceError, match="DEVICE_LOST"):
        memory_info(ARC)


def test_the_memory_of_the_computer():
    now = memory_info(CPU)
    assert now.total_bytes == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 0 < now.free_bytes < now.total_bytes
    assert budget_bytes(Device("cpu", memory_share=0.01)) <= now.total_bytes // 100


def test_the_peak_of_the_process_can_be_counted_anew():
    before = used_bytes(CPU)
    np.ones(200 << 20, dtype=np.uint8)
    assert peak_bytes(CPU) > before + (150 << 20)
    reset_peak(CPU)
    assert peak_bytes(CPU) < before + (100 << 20)


def test_a_watch_keeps_what_was_taken_before_somebody_counted_anew():
    start_peak_watch(CPU)
    before = used_bytes(CPU)
    np.ones(200 << 20, dtype=np.uint8)
    reset_peak(CPU)
    assert peak_bytes(CPU) < before + (100 << 20)
    assert watched_peak_bytes(CPU) > before + (150 << 20)
    start_peak_watch(CPU)
    assert watched_peak_bytes(CPU) < before + (100 << 20)


def test_a_kernel_that_refuses_to_count_anew_is_no_failure(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "CLEAR_REFS", tmp_path / "no" / "such file")
    reset_peak(CPU)
    assert peak_bytes(CPU) > 0


def draws():
    return random.random(), float(np.random.rand()), float(torch.rand(1))


def test_a_seed_makes_all_draws_the_same_and_leaves_no_trace():
    random.seed(1), np.random.seed(2), torch.manual_seed(3)
    undisturbed = [draws(), draws()]
    random.seed(1), np.random.seed(2), torch.manual_seed(3)
    disturbed = [draws()]
    with seeded(CPU, 7):
        first = draws()
    with seeded(CPU, 7, deterministic=True):
        second = draws()
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.is_deterministic_algorithms_warn_only_enabled()
    assert not torch.are_deterministic_algorithms_enabled()
    assert not torch.backends.cudnn.deterministic
    disturbed.append(draws())
    assert first == second
    assert disturbed == undisturbed


def test_a_seed_leaves_no_trace_when_the_work_fails():
    torch.manual_seed(3)
    expected = torch.rand(2)[1]
    torch.manual_seed(3)
    torch.rand(1)
    with pytest.raises(ValueError, match="broken"), seeded(CPU, 7, deterministic=True):
        raise ValueError("broken")
    assert torch.rand(1) == expected
    assert not torch.are_deterministic_algorithms_enabled()


def install_extension(folder, version, body):
    """intel_extension_for_pytorch as pip would have installed it."""
    (folder / "intel_extension_for_pytorch.py").write_text(body)
    metadata = folder / f"intel_extension_for_pytorch-{version}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: intel_extension_for_pytorch\nVersion: {version}\n"
    )


OURS = ".".join(torch.__version__.split(".")[:2])
WORKS = "def optimize(model, **options):\n    model.better = options\n    return model\n"


@pytest.mark.parametrize(
    ("version", "body", "better"),
    [
        (f"{OURS}.10+xpu", WORKS, True),
        ("2.8.0", "import os\nos._exit(1)\n", False),
        (f"{OURS}.0", "raise OSError('libze_loader.so.1: cannot open shared object file')\n", False),
        (f"{OURS}.0", "def optimize(model, **options):\n    raise AssertionError('not this one')\n", False),
    ],
    ids=["fits", "of another torch, which ends the process", "cannot be imported", "fails"],
)
def test_intels_extension_is_used_where_it_fits_and_never_in_the_way(tmp_path, monkeypatch, version, body, better):
    install_extension(tmp_path, version, body)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "intel_extension_for_pytorch", raising=False)
    model = torch.nn.Linear(1, 1)
    assert optimise(model, ARC) is model
    assert hasattr(model, "better") == better
    monkeypatch.delitem(sys.modules, "intel_extension_for_pytorch", raising=False)


@pytest.mark.parametrize(
    ("device", "version"), [(ARC, f"{OURS}.0"), (CPU, f"{OURS}.0"), (Device("cuda"), None), (Device("hip"), None)]
)
def test_intels_extension_is_for_intels_gpus_and_the_processor(tmp_path, monkeypatch, device, version):
    install_extension(tmp_path, f"{OURS}.0", WORKS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "intel_extension_for_pytorch", raising=False)
    assert extension_version(device).get("intel_extension_for_pytorch") == version
    assert hasattr(optimise(torch.nn.Linear(1, 1), device), "better") == (version is not None)
    monkeypatch.delitem(sys.modules, "intel_extension_for_pytorch", raising=False)


def test_an_extension_for_another_torch_is_reported_and_not_imported(tmp_path, monkeypatch, caplog):
    install_extension(tmp_path, "2.8.0", "import os\nos._exit(1)\n")
    monkeypatch.syspath_prepend(tmp_path)
    optimise(torch.nn.Linear(1, 1), CPU)
    assert f"2.8.0 does not belong to torch {torch.__version__} and is not used" in caplog.text
    assert extension_version() == {}


def test_without_intels_extension_the_model_stays():
    model = torch.nn.Linear(1, 1)
    assert optimise(model, ARC) is model
    assert optimise(model, CPU) is model
    assert extension_version() == {}


def too_much():
    torch.empty(1 << 50, dtype=torch.uint8)


def too_much_for_numpy():
    np.empty(1 << 50, dtype=np.uint8)


@pytest.mark.parametrize("ask", [too_much, too_much_for_numpy])
def test_real_memory_that_runs_out_is_told(ask):
    with pytest.raises(OutOfMemory, match="memory of this computer is full") as caught, translate_device_errors(CPU):
        ask()
    assert caught.value.__cause__ is not None
    assert "one step lower" in caught.value.remedy


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError(
            "XPU out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 15.11 GiB."
        ),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        torch.AcceleratorError("CUDA error: out of memory\nCUDA kernel errors might be reported later"),
        RuntimeError("HIP out of memory. Tried to allocate 20.00 MiB"),
        RuntimeError("level_zero backend failed with error: 39 (UR_RESULT_ERROR_OUT_OF_DEVICE_MEMORY)"),
        RuntimeError("Native API failed. Native API returns: 39 (UR_RESULT_ERROR_OUT_OF_DEVICE_MEMORY)"),
        RuntimeError("level_zero backend failed with error: 40 (UR_RESULT_ERROR_OUT_OF_RESOURCES)"),
        RuntimeError(
            "Current platform can NOT allocate memory block with size larger than 4GB! Tried to allocate 7 GiB"
        ),
    ],
    ids=str,
)
def test_too_little_memory_is_told_by_all_its_names(error):
    with pytest.raises(OutOfMemory, match="memory of the Intel GPU is full") as caught, translate_device_errors(ARC):
        raise error
    assert caught.value.__cause__ is error
    assert "\n" not in caught.value.what


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("level_zero backend failed with error: 20 (UR_RESULT_ERROR_DEVICE_LOST)"),
        RuntimeError("level_zero backend failed with error: 2147483646 (UR_RESULT_ERROR_UNKNOWN)"),
        torch.AcceleratorError("CUDA error: an illegal memory access was encountered\nCompile with TORCH_USE_CUDA_DSA"),
        RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling cublasSgemm"),
        RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
        RuntimeError("HIP error: unspecified launch failure"),
    ],
    ids=str,
)
def test_a_gpu_that_fails_is_told(error):
    with pytest.raises(DeviceError, match="failed") as caught, translate_device_errors(ARC):
        raise error
    assert caught.value.__cause__ is error


@pytest.mark.parametrize(
    "error",
    [RuntimeError("mat1 and mat2 shapes cannot be multiplied"), ValueError("out of memory"), GateError("short")],
)
def test_all_other_errors_stay_what_they_are(error):
    with pytest.raises(type(error)) as caught, translate_device_errors(ARC):
        raise error
    assert caught.value is error


def test_a_translated_error_is_understood_by_a_process_without_torch():
    with pytest.raises(OutOfMemory) as caught, translate_device_errors(ARC):
        raise torch.OutOfMemoryError("XPU out of memory.")
    code = (
        "import pickle, sys; error = pickle.loads(bytes.fromhex(sys.argv[1]));"
        "print(type(error).__name__, error.exit_code, error.remedy is not None, 'torch' in sys.modules)"
    )
    packed = pickle.dumps(caught.value).hex()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code, packed], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.split() == ["OutOfMemory", "75", "True", "False"]


def test_the_layer_itself_imports_no_torch():
    code = "import sys, tapemill.devices.errors, tapemill.devices.model_cache; print('torch' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == "False"
    assert set(device.TORCH_NAMES) == set(device.KINDS)
