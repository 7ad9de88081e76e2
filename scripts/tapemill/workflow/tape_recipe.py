"""Recipe of a tape: numbers of the stages, defaults and chains of presets that held when the tape was begun.

A new version of Tapemill has other defaults and other code. A finished tape is not made anew for that; its settings are
what the owner wrote, completed with the defaults of its own recipe. Filter strengths of presets belong to the number of
the stage enhance.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from tapemill.config.schema import schema
from tapemill.core.errors import ConfigError, InputError
from tapemill.core.recipes import RECIPES
from tapemill.core.result_paths import CAPTURE_CHECKSUM, CAPTURE_RECORD, RECIPE
from tapemill.enhance import FRAME_MODEL, VRT_MODEL, preset_chains
from tapemill.media.ffmpeg.version import tapemill_version
from tapemill.process.results_lease import LEASE
from tapemill.records.tape_tags import SECTIONS
from tapemill.storage import atomic, untrusted_text
from tapemill.storage.typed_json import JsonRecord, RecordError

# The name of the tape's file follows from it, and targets of the run are files.
OF_ALL_TAPES: Final = frozenset({"container"})
BASELINE: Final = Path(__file__).with_name("recipe_0_2.json")
"""Recipe of tapes that have none: version 0.2 and older."""


@dataclass(frozen=True)
class TapeRecipe(JsonRecord):
    """Recipe of a tape (`recipe.json`)."""

    version: str
    """Version of Tapemill, for messages."""
    stages: Mapping[str, int]
    defaults: Mapping[str, Mapping[str, Any]]
    """Default of each key, by section of the config."""
    chains: Mapping[str, tuple[Any, ...]]
    """Steps of each preset."""

    def complete(self, own: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
        """Return the config for the tape. `own` is the config as its owner wrote it, `config` with today's defaults."""
        found = dict(config)
        for section in SECTIONS:
            given = own.get(section) or {}
            kept = {
                key: value
                for key, value in self.defaults.get(section, {}).items()
                if key in config[section] and key not in given and key not in OF_ALL_TAPES
            }
            found[section] = {**config[section], **kept}
        enhance = found["enhance"]
        chain = self.chains.get(enhance["preset"])
        if enhance["chain"] is None and chain is not None and chain != preset_chains()[enhance["preset"]]:
            names = {FRAME_MODEL: enhance["frame_model"], VRT_MODEL: enhance["vrt_model"]}
            found["enhance"] = {**enhance, "chain": [_with_models(step, names) for step in chain]}
        return found

    @property
    def numbers(self) -> dict[str, int]:
        """Numbers of the stages, in the order of data. A tag of the tape and params of jobs name them in this order."""
        return {stage: self.stages[stage] for stage in RECIPES if stage in self.stages}

    def differences(self, kept: Mapping[str, Any], config: Mapping[str, Any]) -> list[str]:
        """Return what a tape with this recipe would have otherwise today, a text for each.

        `kept` is the config for the tape, from `complete`; `config` has today's defaults.
        """
        found = [
            f"recipe {number} of the stage {stage}, now {RECIPES[stage]}"
            for stage, number in self.numbers.items()
            if RECIPES[stage] != number
        ]
        for section in SECTIONS:
            found += [
                f"{section}.{key} {_text(kept[section][key])}, now {_text(value)}"
                for key, value in config[section].items()
                if kept[section][key] != value
            ]
        return found


@cache
def todays_recipe() -> TapeRecipe:
    """Return the recipe of tapes that are begun with this version."""
    sections = schema("config")["properties"]
    defaults = {
        section: {key: rule.get("default") for key, rule in sections[section]["properties"].items()}
        for section in SECTIONS
    }
    return TapeRecipe(tapemill_version(), dict(RECIPES), defaults, preset_chains())


def recipe_of_tape(folder: Path) -> TapeRecipe:
    """Return the recipe of the tape in a folder: today's if it is not begun. Raises ConfigError for a damaged file."""
    path = folder / RECIPE
    try:
        return _parsed(untrusted_text.read_bytes(path, max_bytes=untrusted_text.MAX_TEXT_BYTES, error=InputError))
    except FileNotFoundError:
        return _parsed(BASELINE.read_bytes()) if _is_begun(folder) else todays_recipe()
    except (OSError, InputError) as error:
        raise ConfigError(
            f"the recipe of tape {folder.name} cannot be read: {error}",
            file=path,
            remedy=f"restore it from a copy; or `tapemill renew {folder.name}` makes the tape anew with today's",
        ) from error


def config_of_tape(folder: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the config for the tape in a folder. `config` is that of a job: complete, and `own` as it was written."""
    return recipe_of_tape(folder).complete(config["own"], config)


def begin_tape(folder: Path) -> None:
    """Write today's recipe for a tape of which nothing was made yet: its capture was accepted just now."""
    if not _is_begun(folder):
        write_recipe(folder)


def _is_begun(folder: Path) -> bool:
    """Whether something was made of the capture: its record alone may be that of a probe that could not end."""
    made = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    return bool(made - {CAPTURE_RECORD, CAPTURE_CHECKSUM, LEASE})


def write_recipe(folder: Path) -> None:
    """Write today's recipe into the folder of a tape."""
    atomic.write_json(folder / RECIPE, todays_recipe().to_plain())


@cache
def _parsed(content: bytes) -> TapeRecipe:
    """Parse a recipe. Cached: most tapes of an archive have one of a few. Raises InputError."""
    try:
        return TapeRecipe.from_plain(json.loads(content))
    except (ValueError, RecursionError, RecordError) as error:
        raise InputError(str(error), remedy="restore it from a copy") from error


def _with_models(step: Any, names: Mapping[str, str]) -> Any:
    text = json.dumps(step)
    for placeholder, name in names.items():
        text = text.replace(json.dumps(placeholder), json.dumps(name))
    return json.loads(text)


def _text(value: Any) -> str:
    return "empty" if value is None else json.dumps(value, ensure_ascii=False)
