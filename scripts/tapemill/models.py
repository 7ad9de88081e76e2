"""Models by name or file: where they are, which bytes they must have, and how they get here.

`config/models.lock` pins every model by SHA-256. A name in it can be fetched; a file of one's own is pinned when it is
first seen. Weights are only ever loaded from a file that has been found to be the pinned one.
"""

from __future__ import annotations

import difflib
import hashlib
import http.client
import logging
import os
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import yaml

from . import files
from .errors import ConfigError, ModelError, SetupError

LOG = logging.getLogger("tapemill.models")

# openai-whisper's other names for the same files.
ALIASES: Final[Mapping[str, str]] = {"large": "large-v3", "turbo": "large-v3-turbo"}
# openai-whisper's models from the smallest on. Older large ones are no step down from a newer one, being as large.
WHISPER_SIZES: Final = ("tiny", "base", "small", "medium", "large-v3-turbo", "large-v3")
AS_LARGE_AS: Final[Mapping[str, str]] = {"large-v1": "large-v3", "large-v2": "large-v3"}
CANNOT_TRANSLATE: Final = frozenset({"large-v3-turbo"})
ENGLISH_ONLY: Final = ".en"
# Instead of a hash, for a file of one's own that has not been pinned yet. No file has it, so no job will load one.
UNPINNED: Final = "not pinned yet"

# In the folder that snakemake runs in.
FOLDER = Path("resources/models")
LOCK = Path("config/models.lock")
CHUNK_BYTES = 1 << 20
TIMEOUT_S = 30
ATTEMPTS = 5
# Pause before another attempt, in seconds, doubled each time.
PAUSE_S = 1.0


@dataclass(frozen=True)
class ModelFile:
    """A model's file, and the SHA-256 that it must have."""

    path: Path
    sha256: str


def is_file(setting: str) -> bool:
    """Whether the setting means a file of one's own, not a name."""
    return setting.endswith(".pt") or "/" in setting


def resolve_model(setting: str, root: Path) -> Path:
    """The file of a model: a name's file in the folder `root` (resources/models), or the file as given."""
    if is_file(setting):
        return Path(setting)
    return root / f"{ALIASES.get(setting, setting)}.pt"


def locked_sha256(setting: str | Path, lock: Path) -> str:
    """The SHA-256 that the model must have. Reads the lock file and nothing else.

    `UNPINNED` for a file of one's own that `snakemake models` has not seen. Raises ConfigError for an unknown name.
    """
    return str(_entry(str(setting), read_lock(lock)).get("sha256", UNPINNED))


def read_lock(lock: Path) -> dict[str, dict[str, Any]]:
    """Names, or files of one's own, with `file`, `sha256` and, if they can be fetched, `url` and `size_bytes`.

    Raises ModelError if it cannot be read.
    """
    try:
        entries = yaml.safe_load(lock.read_text(encoding="utf-8")) or {}
        if all(isinstance(entry, dict) and isinstance(entry.get("sha256"), str) for entry in entries.values()):
            return dict(entries)
    except (OSError, yaml.YAMLError, AttributeError) as error:
        raise ModelError(f"the list of models cannot be read: {error}", file=lock, remedy=_RESTORE) from error
    raise ModelError("an entry in the list of models has no sha256", file=lock, remedy=_RESTORE)


_RESTORE = "restore the file, for example with `git checkout config/models.lock`"


def _entry(setting: str, entries: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """The entry of a name, or of a file however its path is written; empty for a file that is not pinned yet."""
    if is_file(setting):
        path = os.path.abspath(setting)  # noqa: PTH100  links stay: a linked model keeps the place it was pinned at
        return next((entry for entry in entries.values() if os.path.abspath(entry.get("file", "")) == path), {})  # noqa: PTH100
    try:
        return entries[ALIASES.get(setting, setting)]
    except KeyError:
        names = sorted({name for name in entries if not is_file(name)} | set(ALIASES))
        near = difflib.get_close_matches(setting, names, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(names)}"
        raise ConfigError(f"there is no model {setting!r}", remedy=f"{hint}; or give the path of a .pt file") from None


def verify_model(path: Path, sha256: str) -> None:
    """Raise ModelError unless the file is there and has this SHA-256."""
    if not path.is_file():
        raise ModelError("the model is not there", file=path, remedy="run `snakemake models` to fetch it")
    if sha256 == UNPINNED:
        raise ModelError("the model is not pinned yet", file=path, remedy="run `snakemake models` to pin this file")
    found = files.sha256(path)
    if found != sha256:
        raise ModelError(
            f"the model is not the one that was pinned: SHA-256 {found}, pinned {sha256}",
            file=path,
            remedy="if you changed it on purpose, delete its entry in config/models.lock (a file of your own) or the "
            "file itself (a model with a name), then run `snakemake models`",
        )


def smaller_models(
    setting: str, root: Path = FOLDER, lock: Path = LOCK, *, translating: bool = False
) -> tuple[ModelFile, ...]:
    """The smaller models of openai-whisper of the same kind whose files are there, the largest first.

    For a model of one's own there are none: who can say what it hears. Asked when a job runs and never before, so
    that a model fetched later makes no finished transcript again.
    """
    name = ALIASES.get(setting, setting)
    kind = ENGLISH_ONLY if name.endswith(ENGLISH_ONLY) else ""
    size = AS_LARGE_AS.get(name, name.removesuffix(ENGLISH_ONLY))
    if is_file(setting) or size not in WHISPER_SIZES:
        return ()
    entries = read_lock(lock)
    smaller = [f"{other}{kind}" for other in reversed(WHISPER_SIZES[: WHISPER_SIZES.index(size)])]
    return tuple(
        ModelFile(resolve_model(other, root), str(entries[other]["sha256"]))
        for other in smaller
        if other in entries and resolve_model(other, root).is_file() and not (translating and other in CANNOT_TRANSLATE)
    )


def fetch_models(*, names: Sequence[str], lock: Path, folder: Path) -> None:
    """See that every model of `names` (names or files) is there and is the pinned one.

    Fetches named models that are missing into `folder`, going on where a broken download stopped. Pins a file of one's
    own in `lock` on first sight. A file in `folder` with another hash is set aside as `.rejected`. Raises ModelError.
    """
    entries = read_lock(lock)
    for name in dict.fromkeys(names):
        entry = _entry(name, entries)
        path = resolve_model(name, folder)
        if not path.is_file():
            if "url" not in entry:
                raise ModelError(
                    f"the model {name!r} is not there, and it cannot be fetched",
                    file=path,
                    remedy="correct the path in the config; one that is part of the project: `git checkout` it",
                )
            _download(str(entry["url"]), path, str(entry["sha256"]))
        elif not entry:
            _pin(name, path, lock)
        elif is_file(name):
            # Somebody's own file is refused where it lies.
            verify_model(path, str(entry["sha256"]))
        else:
            _accept(path, path, files.sha256(path), str(entry["sha256"]))
        LOG.info("%s is there and checked: %s", name, path)


def _pin(name: str, path: Path, lock: Path) -> None:
    """Append an entry, so that comments and order of the lock stay."""
    entry = {name: {"file": name, "sha256": files.sha256(path), "size_bytes": path.stat().st_size}}
    files.write_text(lock, lock.read_text(encoding="utf-8").rstrip("\n") + "\n" + yaml.safe_dump(entry))
    LOG.warning("%s is pinned in %s from now on: a changed file will be refused", path, lock)


def _accept(partial: Path, path: Path, found: str, expected: str) -> None:
    """Give the file its name if it is the right one, otherwise set it aside."""
    if found == expected:
        partial.replace(path)
        return
    rejected = path.with_name(f"{path.name}.rejected")
    partial.replace(rejected)
    raise ModelError(
        f"{path.name} has the SHA-256 {found}, pinned is {expected}",
        file=rejected,
        remedy="run `snakemake models` again to fetch it anew; if that ends here too, something on the way changes it",
    )


def _download(url: str, path: Path, sha256: str) -> None:
    """Fetch a file, resuming after breaks, also those of earlier runs."""
    if urlsplit(url).scheme not in {"http", "https"}:
        raise ModelError(f"models are fetched by https only, not from {url}", file=path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    for attempt in range(ATTEMPTS):
        try:
            found = _continue(url, partial)
        except (OSError, http.client.HTTPException) as error:
            refused = isinstance(error, urllib.error.HTTPError) and error.code < 500
            if refused or attempt == ATTEMPTS - 1:
                raise ModelError(
                    f"the model could not be fetched from {url}: {error}",
                    file=path,
                    remedy="see that this machine reaches the address, then run `snakemake models` again: it goes on "
                    "where it stopped; or fetch the file elsewhere and put it in this place",
                ) from error
            LOG.warning("the download broke (%s), going on in a moment", error)
            time.sleep(PAUSE_S * 2**attempt)
        else:
            _accept(partial, path, found, sha256)
            return


def _continue(url: str, partial: Path) -> str:
    """Fetch what `partial` lacks and return the SHA-256 of the whole. Raises OSError or HTTPException on a break."""
    digest = hashlib.sha256()
    have = 0
    if partial.exists():
        with partial.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256")
            have = stream.tell()
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})  # noqa: S310
    try:
        answer = urllib.request.urlopen(request, timeout=TIMEOUT_S)  # noqa: S310  the scheme was checked
    except urllib.error.HTTPError as error:
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            # Nothing is left to fetch: either it was complete, or it is longer than it may be and the hash will tell.
            return digest.hexdigest()
        raise
    with answer:
        if answer.status != http.client.PARTIAL_CONTENT:
            digest, have = hashlib.sha256(), 0
        left = answer.headers.get("Content-Length")
        _check_room(partial.parent, 0 if left is None else int(left))
        with partial.open("r+b" if have else "wb") as stream:
            stream.seek(have)
            written = 0
            # read1 hands over what has arrived; read would lose it when the connection breaks.
            while chunk := answer.read1(CHUNK_BYTES):
                stream.write(chunk)
                digest.update(chunk)
                written += len(chunk)
            stream.flush()
            os.fsync(stream.fileno())
    if left is not None and written < int(left):
        raise http.client.IncompleteRead(b"", int(left) - written)
    return digest.hexdigest()


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise SetupError(
            f"the disk has {free >> 20} MiB left, the model needs {needed >> 20} MiB",
            file=folder,
            remedy="make room, then run `snakemake models` again",
        )
