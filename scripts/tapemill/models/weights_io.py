"""Safe reading of weights: safetensors, or torch's files by an unpickler for tensors only. No code is run."""

from __future__ import annotations

import pickle
import pickletools
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from tapemill.core.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor

# Wrappers around wrappers: a file may hold a table that holds itself.
MOST_WRAPPERS: Final = 16
# Keys of trainers around the weights: averaged ones (EMA) before raw ones, which are for resuming training.
WRAPPERS: Final = ("params_ema", "params-ema", "params", "model_state_dict", "state_dict", "model", "net", "generator")
# torch.nn.DataParallel, and Lightning for a model that is an attribute of another.
PREFIXES: Final = ("module.", "netG.")
# A file as torch wrote it before 1.6 is five pickles and the numbers.
PICKLES: Final = 5
# Objects that every file of tensors names; left out of messages about files that name more.
HARMLESS: Final = re.compile(r"torch\._utils\._rebuild_\w+|torch\.(storage\.)?\w*Storage|collections\.OrderedDict")
ZIP: Final = b"PK\x03\x04"
# Size of the pickle of torch.save, without the tensors: some hundred bytes for each layer.
LARGEST_PICKLE: Final = 64 << 20
# Layers are numbered in their names; a network is built with as many as the highest number says.
MOST_LAYERS: Final = 10_000
# safetensors: the length of a JSON header in 8 bytes, then the header.
HEADER_AT: Final = 8
_FETCH_AGAIN = "fetch the file again: delete it and run `snakemake fetch_models`, or copy it again"


def load_state_dict(path: Path) -> dict[str, Tensor]:
    """Load the state dict of a file, on the CPU, without the wrappers of its trainer.

    The format is detected by content, not by suffix, and nothing in it is run. The tensors may be views of the file:
    copy them before the file is changed. Raises ModelError for a file that is missing, damaged, contains code, or has
    no state dict.
    """
    return _state(load_content(path), path)


def load_content(path: Path, *, compression: int = 1) -> Any:
    """Load what a file of weights holds, on the CPU: tensors and plain values; nothing in it is run.

    The parts of an archive may be compressed to 1 / `compression` of their size; torch itself compresses nothing.

    Raises ModelError for a file that is missing, damaged, or contains code.
    """
    try:
        with path.open("rb") as stream:
            start = stream.read(HEADER_AT + 1)
        if start[HEADER_AT:] == b"{":
            return _safetensors(path)
        if start.startswith(ZIP):
            _check_archive(path, compression)
            return _torch(path, mapped=compression == 1)
        return _torch(path, mapped=False)
    except OSError as error:
        raise ModelError(f"the weights cannot be read: {error}", file=path, remedy=_FETCH_AGAIN) from error


def _safetensors(path: Path) -> dict[str, Tensor]:
    import safetensors
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except safetensors.SafetensorError as error:
        raise _damaged(path, error) from error


def _check_archive(path: Path, compression: int) -> None:
    """Raise ModelError for an archive that is not whole, or is a program of TorchScript."""
    try:
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError) as error:
        raise _damaged(path, error) from error
    names = [part.filename for part in parts]
    if any(name.endswith("constants.pkl") for name in names):
        raise ModelError(
            "the file holds code (a TorchScript program), which is never run",
            file=path,
            remedy="use the model's plain weights, as .pth or .safetensors",
        )
    # torch compresses nothing, so the content of a file is never larger than the file.
    if compression == 1 and any(part.compress_type != zipfile.ZIP_STORED for part in parts):
        raise _damaged(path, ValueError("parts of it are compressed, which no program of torch's does"))
    pickles = sum(part.file_size for part in parts if part.filename.endswith(".pkl"))
    if sum(part.file_size for part in parts) > compression * path.stat().st_size or pickles > LARGEST_PICKLE:
        raise _damaged(path, ValueError("its parts have impossible sizes"))


def _torch(path: Path, *, mapped: bool) -> Any:
    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as error:
        code = [name for name in _named_in(path) if not HARMLESS.fullmatch(name)]
        if not code:
            raise _damaged(path, error) from error
        raise ModelError(
            f"the file holds code ({', '.join(code[:5])}), which is never run",
            file=path,
            remedy="use the model as .safetensors; or, if you trust its authors, save the state dict alone with "
            "torch.save(network.state_dict(), file)",
        ) from error
    # torch does not document which of these it raises for foreign or truncated files.
    except (RuntimeError, EOFError, ValueError, KeyError, IndexError, TypeError, AttributeError, MemoryError) as error:
        raise _damaged(path, error) from error


def _state(content: Any, path: Path) -> dict[str, Tensor]:
    """Remove wrappers and common prefixes."""
    for _ in range(MOST_WRAPPERS):
        if not isinstance(content, Mapping):
            break
        inner = [content[key] for key in WRAPPERS if isinstance(content.get(key), Mapping)]
        if not inner and len(content) == 1:
            inner = [value for value in content.values() if isinstance(value, Mapping)]
        if not inner:
            break
        content = inner[0]
    else:
        raise _no_state(path, "its tables lie in each other without end")
    if not isinstance(content, Mapping) or not content:
        raise _no_state(path, f"it holds {type(content).__name__}")
    check_sizes(content, path)
    state = dict(content)
    for prefix in PREFIXES:
        if all(key.startswith(prefix) for key in state):
            state = {key.removeprefix(prefix): tensor for key, tensor in state.items()}
    return state


def check_sizes(state: Mapping[Any, Any], path: Path, *, compression: int = 1) -> None:
    """Raise ModelError for what is no state dict, and for tensors and layers far larger than their file."""
    import torch

    others = [key for key, value in state.items() if not isinstance(key, str) or not isinstance(value, torch.Tensor)]
    if others:
        raise _no_state(path, f"{str(others[0])[:100]!r} in it is no tensor")
    size = compression * path.stat().st_size
    for key, tensor in state.items():
        # A view may show one number as billions.
        if tensor.numel() * tensor.element_size() > size:
            raise _damaged(path, ValueError(f"{key[:100]!r} is larger than the file"))
        layers = [part for part in key.split(".") if part.isdecimal()]
        if any(len(part) > len(str(MOST_LAYERS)) or int(part) > MOST_LAYERS for part in layers):
            raise _no_state(path, f"{key[:100]!r} has a number that no layer has")


def _no_state(path: Path, what: str) -> ModelError:
    return ModelError(
        f"the file holds no state dict: {what}", file=path, remedy="name a file with a network's weights in it"
    )


def _damaged(path: Path, error: Exception) -> ModelError:
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    return ModelError(f"the file of weights is damaged or incomplete: {first}", file=path, remedy=_FETCH_AGAIN)


def _named_in(path: Path) -> list[str]:
    """List the Python objects that a file's pickles name; none if they are damaged. Nothing is unpickled."""
    try:
        if not zipfile.is_zipfile(path):
            with path.open("rb") as stream:
                return list(dict.fromkeys(_names(stream)))
        with zipfile.ZipFile(path) as archive:
            pickled = next(name for name in archive.namelist() if name.endswith("data.pkl"))
            with archive.open(pickled) as stream:
                return list(dict.fromkeys(_names(stream)))
    except (ValueError, StopIteration, zipfile.BadZipFile, OSError, UnicodeDecodeError):
        return []


def _names(stream: IO[bytes]) -> Iterator[str]:
    for number in range(PICKLES):
        try:
            yield from _names_in_pickle(stream)
        except ValueError:
            # After the pickles come the numbers, and a plain pickle is only one.
            if number == 0:
                raise
            return


def _names_in_pickle(stream: IO[bytes]) -> Iterator[str]:
    """Yield the objects that one pickle names. Raises ValueError if it is truncated."""
    last: str | None = None
    pushed: list[str | None] = []
    memo: dict[Any, str | None] = {}
    for opcode, value, _ in pickletools.genops(stream):
        if opcode.name in {"GLOBAL", "INST"}:
            yield str(value).replace(" ", ".")
        elif opcode.name == "STACK_GLOBAL":
            yield ".".join(map(str, pushed[-2:]))
        if opcode.name == "MEMOIZE":
            memo[len(memo)] = last
        elif opcode.name.endswith("PUT"):
            memo[value] = last
        else:
            # Module and name for STACK_GLOBAL are literals, or fetched from the memo.
            last = memo.get(value) if opcode.name.endswith("GET") else value if isinstance(value, str) else None
            pushed = [*pushed[-1:], last]
