"""What models there are: the registry (config/models.yaml) and the lock (config/models.lock).

The registry is written by people: what each name means and where it comes from. The lock is written by `snakemake
models`: which bytes each file must have, and for a file of one's own what was found in it. Both are read each time the
Snakefile is parsed, so nothing here looks at a model's file, imports torch or uses the network.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final, Literal, get_args
from urllib.parse import urlsplit

from tapemill.core.errors import ConfigError
from tapemill.storage import untrusted_text

from .lockfile import LOCK, UNPINNED, read_lock
from .whisper_models import ALIASES

Kind = Literal["speech", "frame", "vrt"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
NETWORKS: Final[frozenset[Kind]] = frozenset({"frame", "vrt"})
"""Kinds that restore pictures."""

SUFFIXES: Final = (".pt", ".pth", ".ckpt", ".safetensors")

# In the folder that snakemake runs in.
FOLDER = Path("resources/models")
REGISTRY = Path("config/models.yaml")
# Taken where the working folder has no registry of its own.
SHIPPED = Path(__file__).parents[3] / "config" / "models.yaml"


@dataclass(frozen=True)
class Model:
    """A model that a setting asks for."""

    name: str
    """As in the registry, or the path as the setting gives it."""
    kind: Kind | None
    """None for a file of one's own that `snakemake fetch_models` has not seen."""
    path: Path
    sha256: str
    """What the file must have; `UNPINNED` before it was fetched or seen for the first time."""
    scale: int | None = None
    """How many times larger the picture becomes; None for speech and where `kind` is None."""
    task: str = ""
    url: str | None = None
    """Where it can be fetched, if it can."""

    @property
    def is_own(self) -> bool:
        """Whether this is somebody's own file, which has no entry in the registry."""
        return is_file(self.name)


@dataclass(frozen=True)
class Description:
    """What was found in the file of a restoration network."""

    kind: Kind
    scale: int
    """How many times larger the picture becomes."""
    architecture: str


def is_file(setting: str) -> bool:
    """Whether the setting means a file of one's own, not a name."""
    return "/" in setting or setting.endswith(SUFFIXES)


def find_model(
    setting: str,
    kinds: Collection[Kind],
    *,
    registry: Path | None = None,
    lock: Path = LOCK,
    folder: Path = FOLDER,
) -> Model:
    """The model that a setting means, by name or by path. It need not be there yet.

    Raises ConfigError for an unknown name, or a model that is of none of `kinds`; ModelError for a lock that cannot be
    read.
    """
    names = read_registry(registry)
    pins = read_lock(lock)
    name = _name_of_file(setting, names, folder) if is_file(setting) else ALIASES.get(setting, setting)
    if name is None:
        model = _own(setting, pins)
    elif name in names:
        entry = names[name]
        model = Model(
            name=name,
            kind=entry["kind"],
            path=_path(name, entry, folder),
            sha256=str(pins.get(name, {}).get("sha256", UNPINNED)),
            scale=entry.get("scale"),
            task=entry["task"],
            url=entry.get("url"),
        )
    else:
        raise ConfigError(f"there is no model {setting!r}", remedy=_hint(setting, names, kinds))
    if model.kind is not None and model.kind not in kinds:
        own = f"; if {lock} is wrong, delete its entry there and run `snakemake fetch_models`" if model.is_own else ""
        raise ConfigError(
            f"the model {setting!r} is of the kind {model.kind}, and what is needed here is {either(kinds)}",
            remedy=_hint(setting, names, kinds) + own,
        )
    return model


def read_registry(path: Path | None = None) -> dict[str, dict[str, Any]]:
    """The entries of the registry, checked and with defaults filled in.

    Without a path, `config/models.yaml` of the working folder, or the one that Tapemill came with. Raises ConfigError.
    """
    # Jobs import this module for their model's file and need no schemas.
    from tapemill.config.schema import schema, validate, with_defaults

    path = path or (REGISTRY if REGISTRY.is_file() else SHIPPED)
    try:
        text = untrusted_text.read_text(path, most_bytes=untrusted_text.WRITTEN_BYTES, error=ConfigError)
        entries = untrusted_text.parse_yaml(text) or {}
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"the registry of models cannot be read: {error}",
            file=path,
            remedy="correct config/models.yaml; config/README.md says what an entry holds",
        ) from error
    rules = schema("models")
    validate(entries, rules, str(path))
    for name, entry in entries.items():
        if ("file" in entry) == ("url" in entry):
            raise ConfigError(
                f"{path}: {name}: it must have either `file` or `url`",
                remedy="correct the entry; config/README.md says what it holds",
            )
        if entry["kind"] in NETWORKS and "scale" not in entry:
            raise ConfigError(
                f"{path}: {name}: a {entry['kind']} model must have a `scale`: 1, 2 or 4", remedy="add it to the entry"
            )
    return {name: with_defaults(entry, rules["additionalProperties"]) for name, entry in entries.items()}


def _path(name: str, entry: Mapping[str, Any], folder: Path) -> Path:
    """Where a model's file is or will be."""
    if "file" in entry:
        return Path(entry["file"])
    return folder / f"{name}{PurePosixPath(urlsplit(entry['url']).path).suffix}"


def _name_of_file(setting: str, names: Mapping[str, dict[str, Any]], folder: Path) -> str | None:
    """The name of the model whose file this is, however its path is written."""
    path = _absolute(setting)
    return next((name for name, entry in names.items() if _absolute(_path(name, entry, folder)) == path), None)


def _own(setting: str, pins: Mapping[str, dict[str, Any]]) -> Model:
    path = _absolute(setting)
    pin = next((pin for pin in pins.values() if _absolute(pin.get("file", "")) == path), None)
    if pin is None:
        return Model(setting, None, Path(setting), UNPINNED)
    # Before there were other models, an entry did not say that it is one for speech.
    return Model(setting, pin.get("kind", "speech"), Path(setting), str(pin["sha256"]), pin.get("scale"))


def _absolute(path: str | Path) -> str:
    """Links stay: a linked model keeps the place it was pinned at."""
    return os.path.abspath(path)  # noqa: PTH100


def _hint(setting: str, names: Mapping[str, dict[str, Any]], kinds: Collection[Kind]) -> str:
    known = sorted(name for name, entry in names.items() if entry["kind"] in kinds)
    if "speech" in kinds:
        known = sorted([*known, *ALIASES])
    # Release files are often written with other capitals and underscores than the names here.
    plain = {name.lower().replace("_", "-"): name for name in known}
    near = difflib.get_close_matches(setting.lower().replace("_", "-"), plain, n=1, cutoff=0.5)
    hint = f"did you mean {plain[near[0]]!r}?" if near else f"known are {', '.join(known)}"
    suffixes = ".pt" if set(kinds) == {"speech"} else ".pth or .safetensors"
    return f"{hint}; or give the path of a {suffixes} file"


def either(kinds: Collection[Kind]) -> str:
    """The kinds as a message says them."""
    return " or ".join(kind for kind in KINDS if kind in kinds)
