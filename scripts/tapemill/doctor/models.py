"""The models that the settings ask for: whether they are there, and are the ones that were pinned."""

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


def check_models(asked: CheckOptions) -> Iterator[Finding]:
    """Each model of the config, of the chain and of the table of scenes."""
    from tapemill.models import FOLDER, NETWORKS, find_model, read_registry

    registry = read_registry()
    speech: frozenset[Kind] = frozenset({"speech"})
    wanted = [(config()["subtitles"]["model"], speech), *((name, NETWORKS) for name in enhancement().models)]
    for name, kinds in wanted:
        try:
            yield from _look(find_model(name, kinds), registry)
        except TapemillError as exc:
            yield Finding.of(exc)
    for refused in sorted(FOLDER.glob("*.rejected")):
        yield warning(
            "a model was fetched that is not the pinned one, and was set aside",
            "run `snakemake fetch_models` again; if it is not needed for a look, delete the file",
            [("file", str(refused))],
        )


def _look(model: Model, registry: dict[str, dict[str, Any]]) -> Iterator[Finding]:
    """Raises ModelError for a file that is not the pinned one."""
    from tapemill.models import UNPINNED, verify_model

    what = f"the {model.kind or 'new'} model {model.name}"
    facts = [("file", str(model.path))]
    if not model.path.is_file():
        how = FETCH if model.url else "put it there; one that is part of the project: `git checkout` it"
        yield error(f"{what} is not there", how, facts)
        return
    if model.sha256 == UNPINNED:
        yield error(f"{what} is not pinned yet", f"{FETCH}: it looks into the file and pins it", facts)
        return
    verify_model(Path(model.path), model.sha256)
    licence = registry.get(model.name, {}).get("licence", "")
    facts.append(("licence", licence or "not known: it is for you to know"))
    if RESTRICTED in licence.lower():
        yield warning(
            f"{what} is there and the pinned one, and its licence is restricted",
            "for any commercial use take another model (config/models.yaml tells their licences)",
            facts,
        )
    else:
        yield ok(f"{what} is there, and the pinned one", facts)
