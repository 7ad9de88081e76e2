"""Models of openai-whisper: their aliases and the order of their sizes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from .lockfile import LOCK, ModelFile, read_lock

# openai-whisper's other names for the same files.
ALIASES: Final[Mapping[str, str]] = {"large": "large-v3", "turbo": "large-v3-turbo"}
# From the smallest on. Older large models are as large as newer ones, so they are no smaller candidates.
WHISPER_SIZES: Final = ("tiny", "base", "small", "medium", "large-v3-turbo", "large-v3")
AS_LARGE_AS: Final[Mapping[str, str]] = {"large-v1": "large-v3", "large-v2": "large-v3"}
CANNOT_TRANSLATE: Final = frozenset({"large-v3-turbo"})
ENGLISH_ONLY: Final = ".en"


def smaller_models(
    setting: str, folder: Path | None = None, lock: Path = LOCK, *, translating: bool = False
) -> tuple[ModelFile, ...]:
    """List the smaller models of openai-whisper of the same kind whose files exist, the largest first.

    They are at the paths of the lock, or in `folder`. For an own model there are none: its languages are unknown.
    Called only when a job runs, so that a model fetched later does not invalidate finished transcripts.
    """
    name = ALIASES.get(setting, setting)
    kind = ENGLISH_ONLY if name.endswith(ENGLISH_ONLY) else ""
    size = AS_LARGE_AS.get(name, name.removesuffix(ENGLISH_ONLY))
    if size not in WHISPER_SIZES:
        return ()
    pins = read_lock(lock)
    smaller = [f"{other}{kind}" for other in reversed(WHISPER_SIZES[: WHISPER_SIZES.index(size)])]
    known = {other: Path(pins[other]["file"]) for other in smaller if other in pins}
    paths = {other: file if folder is None else folder / file.name for other, file in known.items()}
    return tuple(
        ModelFile(file, str(pins[other]["sha256"]))
        for other, file in paths.items()
        if file.is_file() and not (translating and other in CANNOT_TRANSLATE)
    )
