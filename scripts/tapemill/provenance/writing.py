"""The job that writes down how a tape was made."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from .. import files
from . import sharing
from .checkout import ROOT
from .crate import crate
from .document import TapeFiles, Wishes, describe

LOG = logging.getLogger("tapemill.provenance")


def write_provenance(
    *,
    made: TapeFiles,
    wishes: Wishes,
    scenes: Mapping[str, Sequence[int]],
    target: Path,
    metadata: Path,
    workflow: Path,
) -> None:
    """Write `provenance.json` (`target`) of a finished tape, its RO-Crate (`metadata`), and a copy of the Snakefile.

    `scenes` are frame ranges of the capture by name, in order. An archive that takes the folder has to find the
    workflow in it, hence the copy (`workflow`). Raises InputError for a tape or a record that cannot be read.
    """
    document = describe(made, wishes, scenes)
    with files.staged(workflow) as partial:
        shutil.copyfile(ROOT / "Snakefile", partial)
    files.write_json(metadata, crate(document, folder=made.folder, workflow=workflow.name))
    files.write_text(target, sharing.text(document))
    changed = document["run"]["checkout"]["changed"]
    if changed:
        LOG.info("made with code that is in no commit: %s", ", ".join(changed[:5]) + (", …" if changed[5:] else ""))
    LOG.info("%d scenes, %d models: %s", len(scenes), len(document["how"]["models"]), target)
