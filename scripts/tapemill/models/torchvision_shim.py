"""Shim for `import torchvision`, which spandrel needs, beside a torch that it was not built for.

PyPI's torchvision is built for CUDA. Beside another build of torch its compiled part does not load, and the import then
fails because two operators are missing that its Python part registers with torch. Declaring these two is enough. The
compiled part stays absent: check `torch.ops.torchvision` for an operator before using it.
"""

from __future__ import annotations

import importlib.util
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any, Final

from tapemill.core.errors import SetupError

# As torchvision declares them in its compiled part (its ops/nms.cpp and ops/quantized).
SCHEMAS: Final = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}
# References: a library that is garbage-collected removes its declarations.
_LIBRARIES: list[Any] = []


def make_importable() -> None:
    """Declare the operators that torchvision's import would miss. Does nothing if it fits torch, or is imported.

    Raises SetupError if torchvision is not installed.
    """
    if "torchvision" in sys.modules:
        return
    import torch

    # Neither is typed.
    ops: Any = torch.ops
    declaring: Any = torch.library
    found = importlib.util.find_spec("torchvision")
    if found is None or found.origin is None:
        raise SetupError("torchvision is not installed", remedy="run `make setup`")
    for suffix in EXTENSION_SUFFIXES:
        compiled = Path(found.origin).with_name(f"_C{suffix}")
        if compiled.is_file():
            try:
                # As torchvision itself does; if it succeeds, it declares all operators.
                ops.load_library(compiled)
            except OSError:
                continue
    missing = [schema for name, schema in SCHEMAS.items() if not hasattr(ops.torchvision, name)]
    if missing:
        library = declaring.Library("torchvision", "FRAGMENT")
        for schema in missing:
            library.define(schema)
        _LIBRARIES.append(library)
