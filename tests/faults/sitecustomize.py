"""Python imports this at its start if the folder is on PYTHONPATH: recognition then goes wrong once.

FAULT says how: `memory` (out of memory), `die` (killed), `hang`. FAULT_MARK is a file: once it is there all goes well.
"""

import importlib.abc
import importlib.machinery
import os
import signal
import sys
import time
from pathlib import Path


def go_wrong():
    kind, mark = os.environ["FAULT"], Path(os.environ["FAULT_MARK"])
    if mark.exists():
        return
    mark.write_text(str(os.getpid()))
    if kind == "memory":
        import torch

        raise torch.OutOfMemoryError("XPU out of memory. Tried to allocate 2.00 GiB")
    if kind == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(3600)


class Saboteur(importlib.abc.MetaPathFinder):
    """Lets whisper be imported as ever, and lays the fault into its recognition."""

    def find_spec(self, name, path=None, target=None):
        if name != "whisper":
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        load = spec.loader.exec_module

        def exec_module(module):
            load(module)
            recognise = module.Whisper.transcribe

            def transcribe(*arguments, **options):
                go_wrong()
                return recognise(*arguments, **options)

            module.Whisper.transcribe = transcribe

        spec.loader.exec_module = exec_module
        return spec


if "FAULT" in os.environ:
    sys.meta_path.insert(0, Saboteur())
