"""Tests on a real GPU. Without one they are skipped, unless TAPEMILL_EXPECT_GPU=cuda|xpu|hip promises one.

Each test computes in a process of its own, since a mask works once in the life of a process.
"""

import json
import os
import subprocess
import sys
import textwrap

import pytest

from tapemill.devices import visibility
from tapemill.devices.torch_build import torch_build
from tapemill.lanes.gpu_registry import record_gpus
from tests.support.project import ROOT

PROMISED = os.environ.get("TAPEMILL_EXPECT_GPU", "")
# Drivers compile kernels when they meet a GPU for the first time.
TIMEOUT_S = 900
OPENED = """
import json
import sys
from tapemill.devices.device import Device
from tapemill.lanes import gpu_registry as gpus
from tapemill.devices import visibility as masks

kind, number = json.loads(sys.argv[1])
masks.bind_process(kind, number)
gpu = gpus.verify_gpu(kind, number)
device = Device(kind, pci_address=gpu.pci_address)
"""


@pytest.fixture(scope="session", autouse=True)
def all_gpus(tmp_path_factory):
    """All GPUs of one kind, recorded in a runtime folder of the tests' own. Here and only here tests are skipped."""
    if PROMISED and PROMISED not in visibility.VISIBILITY:
        pytest.fail(f"TAPEMILL_EXPECT_GPU={PROMISED}: it must be one of {', '.join(visibility.VISIBILITY)}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("run")))
        build = torch_build()
        for kind in build.kinds:
            if PROMISED in {"", kind} and (found := record_gpus(kind)):
                yield found
                return
        if PROMISED:
            pytest.fail(f"a {PROMISED} GPU was promised, but torch {build.version} finds none")
        pytest.skip("no GPU")


@pytest.fixture(scope="session")
def gpu(all_gpus):
    """The last GPU, for that is where a mask that does nothing is noticed."""
    return all_gpus[-1]


@pytest.fixture
def on_gpu(gpu):
    """Run code in a process with `gpu` as its only one. `device` and `gpu` are defined; returns what it `tell`s."""

    def run(code, *arguments, opened=OPENED, number=gpu.number, expect=0, **environ):
        paths = [str(ROOT / "scripts"), str(ROOT), os.environ.get("PYTHONPATH", "")]
        told = "def tell(value):\n    print('\\n' + json.dumps(value))\n"
        done = subprocess.run(
            [sys.executable, "-c", opened + told + textwrap.dedent(code), json.dumps([gpu.kind, number]), *arguments],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))} | environ,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert done.returncode == expect, done.stderr
        return json.loads(done.stdout.strip().splitlines()[-1]) if expect == 0 else done.stderr

    return run
