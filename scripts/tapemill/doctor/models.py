"""Checks of the models in the settings: present, and with the pinned SHA-256."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tapemill.core.errors import TapemillError

from .config import config, enhancement
from .findings import CheckOptions, Finding, error, ok, warning

if TYPE_CHECKING:
    from tapemill.models import Kind, Model

FETCH: Final = "run `snakemake --profile profiles/cpu fetch_models` once"
RESTRICTED: Final = "non-commercial"


def check_models(options: CheckOptions) -> Iterator[Finding]:
    """Check each model of the config, of the chain and of the scene overrides."""
    from tapemill.models import FOLDER, NETWORKS, find_model, read_registry

    registry = read_registry()
    speech: frozenset[Kind] = frozenset({"speech"})
    wanted = [(config()["subtitles"]["model"], speech), *((name, NETWORKS) for name in enhancement().models)]
    for name, kinds in wanted:
        try:
            yield from _check_model(find_model(name, kinds), registry)
        except TapemillError as exc:
            yield Finding.of(exc)
    for refused in sorted(FOLDER.glob("*.rejected")):
        yield warning(
            "a downloaded model is not the pinned one, and was set aside",
            "run `snakemake fetch_models` again; if it is not needed for inspection, delete the file",
            [("file", str(refused))],
        )


def _check_model(model: Model, registry: dict[str, dict[str, Any]]) -> Iterator[Finding]:
    """Check one model. Raises ModelError for a file that is not the pinned one."""
    from tapemill.models import UNPINNED, verify_model

    what = f"the {model.kind or 'new'} model {model.name}"
    facts = [("file", str(model.path))]
    if not model.path.is_file():
        how = FETCH if model.url else "put it there; if it is part of the project, restore it (`git checkout`)"
        yield error(f"{what} is not there", how, facts)
        return
    if model.sha256 == UNPINNED:
        yield error(f"{what} is not pinned yet", f"{FETCH}: it inspects the file and pins it", facts)
        return
    verify_model(Path(model.path), model.sha256)
    licence = registry.get(model.name, {}).get("licence", "")
    facts.append(("licence", licence or "unknown: find out before use"))
    if RESTRICTED in licence.lower():
        yield warning(
            f"{what} is the pinned one, and its licence is restricted",
            "for any commercial use choose another model (config/models.yaml lists the licences)",
            facts,
        )
    else:
        yield ok(f"{what} is there, and is the pinned one", facts)
