"""Registry of models (config/models.yaml), and resolution of settings to models.

The registry is written by people: the meaning and origin of each name. The lock (config/models.lock) is written by
`snakemake fetch_models`: the hash of each file, and for an own file its kind. Both are read each time the Snakefile is
parsed, so nothing here opens a model's file, imports torch or uses the network.
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
"""Kinds that restore video."""

SUFFIXES: Final = (".pt", ".pth", ".ckpt", ".safetensors")

# Relative to the working folder.
FOLDER = Path("resources/models")
REGISTRY = Path("config/models.yaml")
# Used where the working folder has no registry of its own.
SHIPPED = Path(__file__).parents[3] / "config" / "models.yaml"


@dataclass(frozen=True)
class Model:
    """A model that a setting refers to."""

    name: str
    """As in the registry, or the path as the setting gives it."""
    kind: Kind | None
    """None for an own file that `snakemake fetch_models` has not inspected."""
    path: Path
    sha256: str
    """Expected hash of the file; `UNPINNED` before it was first fetched or inspected."""
    scale: int | None = None
    """Upscaling factor; None for speech and where `kind` is None."""
    task: str = ""
    url: str | None = None
    """Download URL, if there is one."""

    @property
    def is_own(self) -> bool:
        """Whether this is a file of the user's own, without an entry in the registry."""
        return is_file(self.name)


@dataclass(frozen=True)
class Description:
    """Properties found in the file of a model."""

    kind: Kind
    scale: int | None
    """Upscaling factor; None for speech."""
    architecture: str


def is_file(setting: str) -> bool:
    """Whether the setting is the path of a file, not a name."""
    return "/" in setting or setting.endswith(SUFFIXES)


def find_model(
    setting: str,
    kinds: Collection[Kind],
    *,
    registry: Path | None = None,
    lock: Path = LOCK,
    folder: Path = FOLDER,
) -> Model:
    """Resolve a setting, a name or a path, to a model. Its file need not exist yet.

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
            f"the model {setting!r} is of the kind {model.kind}, and what is needed here is {join_or(kinds)}",
            remedy=_hint(setting, names, kinds) + own,
        )
    return model


def read_registry(path: Path | None = None) -> dict[str, dict[str, Any]]:
    """Read the entries of the registry, validated and with defaults filled in.

    Without a path: `config/models.yaml` of the working folder, or the one shipped with Tapemill. Raises ConfigError.
    """
    # Imported here because jobs use this module without schemas.
    from tapemill.config.schema import schema, validate, with_defaults

    path = path or (REGISTRY if REGISTRY.is_file() else SHIPPED)
    try:
        text = untrusted_text.read_text(path, max_bytes=untrusted_text.MAX_TEXT_BYTES, error=ConfigError)
        entries = untrusted_text.parse_yaml(text) or {}
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"the registry of models cannot be read: {error}",
            file=path,
            remedy="correct config/models.yaml; config/README.md describes entries",
        ) from error
    rules = schema("models")
    validate(entries, rules, str(path))
    for name, entry in entries.items():
        if ("file" in entry) == ("url" in entry):
            raise ConfigError(
                f"{path}: {name}: it must have either `file` or `url`",
                remedy="correct the entry; config/README.md describes entries",
            )
        if entry["kind"] in NETWORKS and "scale" not in entry:
            raise ConfigError(
                f"{path}: {name}: a {entry['kind']} model must have a `scale`: 1, 2 or 4", remedy="add it to the entry"
            )
    return {name: with_defaults(entry, rules["additionalProperties"]) for name, entry in entries.items()}


def _path(name: str, entry: Mapping[str, Any], folder: Path) -> Path:
    """Return the path of a model's file, which need not exist yet."""
    if "file" in entry:
        return Path(entry["file"])
    return folder / f"{name}{PurePosixPath(urlsplit(entry['url']).path).suffix}"


def _name_of_file(setting: str, names: Mapping[str, dict[str, Any]], folder: Path) -> str | None:
    """Return the name of the model whose file this is, however its path is written."""
    path = _absolute(setting)
    return next((name for name, entry in names.items() if _absolute(_path(name, entry, folder)) == path), None)


def _own(setting: str, pins: Mapping[str, dict[str, Any]]) -> Model:
    path = _absolute(setting)
    pin = next((pin for pin in pins.values() if _absolute(pin.get("file", "")) == path), None)
    if pin is None:
        return Model(setting, None, Path(setting), UNPINNED)
    # Old entries of speech models have no kind.
    return Model(setting, pin.get("kind", "speech"), Path(setting), str(pin["sha256"]), pin.get("scale"))


def _absolute(path: str | Path) -> str:
    """Return an absolute path without resolving links: a linked model keeps the path it was pinned at."""
    return os.path.abspath(path)  # noqa: PTH100


def _hint(setting: str, names: Mapping[str, dict[str, Any]], kinds: Collection[Kind]) -> str:
    known = sorted(name for name, entry in names.items() if entry["kind"] in kinds)
    if "speech" in kinds:
        known = sorted([*known, *ALIASES])
    # Names of release files often differ from those here in case and underscores.
    plain = {name.lower().replace("_", "-"): name for name in known}
    near = difflib.get_close_matches(setting.lower().replace("_", "-"), plain, n=1, cutoff=0.5)
    hint = f"did you mean {plain[near[0]]!r}?" if near else f"known are {', '.join(known)}"
    suffixes = ".pt" if set(kinds) == {"speech"} else ".pth or .safetensors"
    return f"{hint}; or give the path of a {suffixes} file"


def join_or(kinds: Collection[Kind]) -> str:
    """Join kinds for a message: "frame or vrt"."""
    return " or ".join(kind for kind in KINDS if kind in kinds)
