"""Recipes: a number for each stage, raised when its code makes something else of the same input and settings.

A tape keeps the numbers it was begun with. `tapemill renew` makes it anew with those of today.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from .errors import InputError
from .rule_catalog import stage_of

RECIPES: Final[Mapping[str, int]] = MappingProxyType(
    {
        "capture": 3,
        "scenes": 2,
        "audio": 1,
        "subtitles": 2,
        "enhance": 3,
        "tape": 1,
    }
)
# Rules that also depend on the recipe of another stage: a clip is made of a cut that is gone afterwards.
STAGES_OF: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({"enhance_scene": ("scenes", "enhance")})


def recipe_of(rule: str, numbers: Mapping[str, int] = RECIPES) -> int | list[int] | None:
    """Return the param `recipe` of a rule: a number, several, or None for a rule of no stage.

    `numbers` are those of a tape; a stage that is newer than the tape has the number of today.
    """
    stages = STAGES_OF.get(rule) or (stage_of(rule),)
    found = [numbers.get(stage, RECIPES[stage]) for stage in stages if stage in RECIPES]
    return found if rule in STAGES_OF else found[0] if found else None


def check_recipe(rule: str, tape: str, made_by: int | list[int]) -> None:
    """Raise InputError if a job of a tape would be made by another recipe than that of the tape, `made_by`."""
    stage = stage_of(rule)
    if stage in RECIPES and made_by != recipe_of(rule):
        raise InputError(
            f"tape {tape} was made by another recipe of the stage {stage} than that of this version: parts"
            " of it would not fit together",
            remedy=f"`tapemill renew {tape}` makes it anew; or undo what you changed, and the tape stays as it is",
        )
