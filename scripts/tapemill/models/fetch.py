"""Fetching of models by the rule `models`: download, verification, and pinning on first use."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from tapemill.core.errors import ModelError
from tapemill.storage import atomic, fingerprint

from .download import download
from .lockfile import LOCK, UNPINNED, pin_model, verify_model
from .registry import FOLDER, Description, Kind, Model, find_model, join_or

LOG = logging.getLogger("tapemill.models")

Describe = Callable[[Path], Description]


def fetch_models(
    *,
    names: Sequence[str],
    kinds: Collection[Kind],
    registry: Path | None = None,
    lock: Path = LOCK,
    folder: Path = FOLDER,
    describe: Describe,
) -> None:
    """Ensure that every model of `names` (names or files) exists, is of one of `kinds`, and is the pinned one.

    Missing files with a URL are fetched into `folder`; broken downloads are resumed. A file without a hash in `lock` is
    inspected by `describe`, which raises ModelError for what is no model, and pinned. A fetched file that fails
    a check is renamed to `.rejected`, a file of the user's own is refused and stays.
    Raises ConfigError, ModelError, and DiskFull.
    """
    for name in dict.fromkeys(names):
        model = find_model(name, kinds, registry=registry, lock=lock, folder=folder)
        if not model.path.is_file():
            _fetch(model)
        elif model.sha256 == UNPINNED:
            pass
        elif model.url is None:
            verify_model(model.path, model.sha256)
        else:
            _require_pinned_hash(model, model.path, fingerprint.sha256(model.path))
        if model.sha256 == UNPINNED:
            _pin_first_use(model, kinds, lock, describe)
        LOG.info("%s is there and checked: %s", name, model.path)


def _fetch(model: Model) -> None:
    if model.url is None:
        raise ModelError(
            f"the model {model.name!r} is missing and cannot be fetched",
            file=model.path,
            remedy="correct the path in the config; one that is part of the project: `git checkout` it",
        )
    partial = model.path.with_name(f".{model.path.name}.partial")
    found = download(model.url, partial, model.path)
    if model.sha256 != UNPINNED:
        _require_pinned_hash(model, partial, found)
    atomic.sync(partial)
    partial.replace(model.path)
    atomic.sync(model.path.parent)


def _require_pinned_hash(model: Model, file: Path, found: str) -> None:
    """Reject a file that has another hash than the pinned one."""
    if found != model.sha256:
        raise ModelError(
            f"{model.path.name} has the SHA-256 {found}, pinned is {model.sha256}",
            file=_reject(model, file),
            remedy="run `snakemake fetch_models` again to fetch it anew; if that ends here too, something on the way "
            "changes it, or its makers replaced it: whoever trusts the new one deletes its entry in config/models.lock",
        )


def _reject(model: Model, file: Path) -> Path:
    rejected = model.path.with_name(f"{model.path.name}.rejected")
    file.replace(rejected)
    return rejected


def _pin_first_use(model: Model, kinds: Collection[Kind], lock: Path, describe: Describe) -> None:
    """Inspect a file without a hash and pin it. Raises ModelError if it is not the expected kind of model."""
    try:
        found = describe(model.path)
        _check_found(model, found, kinds)
    except ModelError as error:
        if model.url is None:
            raise
        raise ModelError(error.what, file=_reject(model, model.path), remedy=error.remedy) from error
    own: dict[str, str | int] = {}
    if model.is_own:
        own = {"kind": found.kind, **({"scale": found.scale} if found.scale else {})}
    pin_model(lock, model.name, model.path, fingerprint.sha256(model.path), **own)
    what = f": {found.architecture}, {found.kind}" + (f", scale {found.scale}" if found.scale else "")
    LOG.warning("%s is pinned in %s from now on%s; a changed file will be refused", model.path, lock, what)


def _check_found(model: Model, found: Description, kinds: Collection[Kind]) -> None:
    if found.kind not in kinds:
        raise ModelError(
            f"the file holds a {found.kind} model ({found.architecture}); what is needed here is {join_or(kinds)}",
            file=model.path,
            remedy="name it in another step of the chain, or name another model",
        )
    if not model.is_own and (found.kind, found.scale) != (model.kind, model.scale):
        raise ModelError(
            f"the registry has {model.name} as of the kind {model.kind} with scale {model.scale}, and the file "
            f"holds one of the kind {found.kind} with scale {found.scale} ({found.architecture})",
            file=model.path,
            remedy="correct the entry or the file in config/models.yaml",
        )
