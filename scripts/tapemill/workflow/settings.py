"""Settings of the workflow when the Snakefile is parsed: tapes, scene settings, speech model, faulty rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tapemill.config.row_fault import RowFault
from tapemill.config.tape_sheet import load_sheet
from tapemill.core.errors import ConfigError, InputError
from tapemill.enhance import SceneSettings
from tapemill.models import Model, find_model

from .tape import DEMO_CAPTURE, TapeState, tape_states

FAULTS_MARKER: Final = "results/.faulty_rows"
"""Output of the rule that fails for faulty rows. It never exists."""


@dataclass(frozen=True)
class WorkflowSettings:
    """What the rules are made of."""

    tapes: Mapping[str, TapeState]
    """Tapes that can be worked on."""
    enhance: SceneSettings
    speech_model: Model
    faults: tuple[RowFault, ...]
    """Rows that cannot be used. Each costs its tape, and no other."""


def load_settings(config: Mapping[str, Any]) -> WorkflowSettings:
    """Load sheet and tables. `config` is validated. Raises ConfigError for what concerns all tapes, ModelError."""
    faults: list[RowFault] = []
    tapes = tape_states(load_sheet(Path(config["sheet"]), [DEMO_CAPTURE], faults.append))
    enhance = SceneSettings.planned(config["enhance"], list(tapes), faults.append)
    for tape in tapes.values():
        faults += _unknown_scenes(tape, enhance)
    faulty = {fault.tape for fault in faults}
    return WorkflowSettings(
        tapes={id: tape for id, tape in tapes.items() if id not in faulty},
        enhance=enhance,
        speech_model=find_model(config["subtitles"]["model"], {"speech"}),
        faults=tuple(faults),
    )


def report_faulty_rows(rows: list[str]) -> None:
    """Fail with the rows that cannot be used. Raises InputError: other tapes are not affected."""
    count = f"{len(rows)} row{'s' if len(rows) > 1 else ''}"
    raise InputError(
        f"{count} of the tables cannot be used, and their tapes were left as they are:\n" + "\n".join(rows),
        remedy="correct the rows, and run the same command again",
    )


def _unknown_scenes(tape: TapeState, enhance: SceneSettings) -> Iterator[RowFault]:
    """Yield the fault of a row that names a scene the tape does not have, as far as its scenes are known."""
    if all(row.tape != tape.row.tape for row in enhance.overrides):
        return
    try:
        scenes = tape.folder if tape.is_folder else tape.scenes(tape.scene_table)
        enhance.check_scenes(tape.row.tape, scenes)
    except ConfigError as error:
        yield RowFault(tape.row.tape, error)
    except (FileNotFoundError, ValueError, InputError):
        # Not detected yet, or to be detected again.
        return
