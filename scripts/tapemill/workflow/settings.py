"""Settings of the workflow when the Snakefile is parsed: tapes, scene settings, speech model, faulty rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from tapemill.config.row_fault import RowFault
from tapemill.config.tape_sheet import load_sheet
from tapemill.core.errors import ConfigError, InputError, ModelError
from tapemill.core.recipes import RECIPES
from tapemill.enhance import SceneSettings
from tapemill.models import Model, find_model
from tapemill.records.tape_tags import without_paths
from tapemill.storage import untrusted_text

from .tape import DEMO_CAPTURE, TapeState, tape_states
from .tape_recipe import TapeRecipe

MOST_NAMED: Final = 5
FAULTS_MARKER: Final = "results/.faulty_rows"
"""Output of the rule that fails for faulty rows. It never exists."""


@dataclass(frozen=True)
class TapeSettings:
    """Settings of tapes with one recipe."""

    recipe: TapeRecipe
    config: Mapping[str, Any]
    """Complete, with the defaults of the recipe."""
    enhance: SceneSettings
    speech_model: Model


@dataclass(frozen=True)
class WorkflowSettings:
    """What the rules are made of."""

    tapes: Mapping[str, TapeState]
    """Tapes that can be worked on."""
    enhance: SceneSettings
    """Of tapes with today's recipe."""
    speech_model: Model
    faults: tuple[RowFault, ...]
    """Rows that cannot be used. Each costs its tape, and no other."""
    own: Mapping[str, Any]
    """The config as its owner wrote it."""
    config: Mapping[str, Any]
    """Complete, with today's defaults."""
    _by_recipe: dict[int, TapeSettings] = field(default_factory=dict, repr=False)

    def of_tape(self, tape: str) -> TapeSettings:
        """Return the settings of a tape, by its recipe. Raises ConfigError if they are not possible any more."""
        recipe = self.tapes[tape].recipe
        if id(recipe) not in self._by_recipe:
            config = recipe.complete(self.own, self.config)
            base = self.enhance
            enhance = SceneSettings(config["enhance"], base.overrides, base.resolve, base.late_faults).checked()
            self._by_recipe[id(recipe)] = TapeSettings(recipe, config, enhance, _speech_model(config))
        return self._by_recipe[id(recipe)]

    @property
    def models(self) -> tuple[list[str], list[str]]:
        """Names of the speech models and of the networks of all tapes."""
        found = [self.of_tape(tape) for tape in self.tapes]
        speech = [self.config["subtitles"]["model"], *(each.config["subtitles"]["model"] for each in found)]
        networks = [*self.enhance.models, *(model for each in found for model in each.enhance.models)]
        return list(dict.fromkeys(speech)), list(dict.fromkeys(networks))

    def older_recipes(self) -> dict[str, list[str]]:
        """Return what would come out differently today, by tape, for tapes with an older recipe that settings show."""
        settings = {tape: self.of_tape(tape) for tape in self.tapes}
        found = {tape: own.recipe.differences(own.config, self.config) for tape, own in settings.items()}
        return {tape: differences for tape, differences in found.items() if differences}

    @property
    def notes(self) -> list[str]:
        """Notes for the operator at the start of a run."""
        if not (older := self.older_recipes()):
            return []
        some = ", ".join(list(older)[:MOST_NAMED]) + (" …" if len(older) > MOST_NAMED else "")
        return [
            f"Tapes made by an older recipe, which stay as they are: {len(older)} ({some}); `tapemill renew TAPE` has"
            " them made anew"
        ]


def load_settings(config: Mapping[str, Any], own: Mapping[str, Any]) -> WorkflowSettings:
    """Load sheet and tables. `config` is complete, `own` as its owner wrote it.

    Raises ConfigError for what concerns all tapes, ModelError.
    """
    faults: list[RowFault] = []
    tapes = tape_states(load_sheet(Path(config["sheet"]), [DEMO_CAPTURE], faults.append))
    enhance = SceneSettings.planned(config["enhance"], list(tapes), faults.append)
    settings = WorkflowSettings(tapes, enhance, _speech_model(config), (), own, config)
    for tape in tapes.values():
        faults += _unknown_scenes(tape, enhance)
        faults += _impossible_recipe(tape, settings)
    faulty = {fault.tape for fault in faults}
    usable = {id: tape for id, tape in tapes.items() if id not in faulty}
    return replace(settings, tapes=usable, faults=tuple(faults))


def _speech_model(config: Mapping[str, Any]) -> Model:
    return find_model(config["subtitles"]["model"], {"speech"})


def _impossible_recipe(tape: TapeState, settings: WorkflowSettings) -> Iterator[RowFault]:
    """Yield the fault of a tape of which something is to be made, by a stage with another recipe than the rest."""
    id = tape.row.tape
    try:
        own = settings.of_tape(id)
        changed = [stage for stage, number in own.recipe.numbers.items() if RECIPES[stage] != number]
        if changed and not tape.is_finished:
            raise ConfigError(
                f"tape {id} was begun by Tapemill {own.recipe.version}, and the stages {', '.join(changed)} work"
                " differently now: parts of it would not fit together",
                remedy=f"`tapemill renew {id}` makes it anew; or finish it with that version",
            )
        made_with = _recorded_settings(tape) if changed else {}
        for stage in changed:
            if stage in made_with and made_with[stage] != without_paths(_resolved(own, stage)):
                raise ConfigError(
                    f"tape {id} would be made again for changed settings of {stage}, and this stage works differently"
                    f" since Tapemill {own.recipe.version} made it",
                    remedy=f"`tapemill renew {id}` makes all of it anew; or undo the change",
                )
    except (ConfigError, ModelError) as error:
        yield RowFault(id, error)


def _resolved(settings: TapeSettings, stage: str) -> Mapping[str, Any]:
    return settings.enhance.of_tape if stage == "enhance" else settings.config[stage]


def _recorded_settings(tape: TapeState) -> Mapping[str, Any]:
    """Return the sections of the config that a finished tape was made with; empty if they are not recorded."""
    try:
        document = untrusted_text.read_json(tape.paths.provenance, error=InputError, remedy="delete it")
    except (FileNotFoundError, InputError):
        return {}
    how = document.get("how")
    found = how.get("settings") if isinstance(how, dict) else None
    return found if isinstance(found, dict) else {}


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
