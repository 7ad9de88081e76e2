"""Reader of provenances of the formats 1 and 2.

Format 2 stores facts that scenes share once, in `alike`: a part of a scene with the key `like` consists of its own
facts and of the shared ones of that number, and {1}, {2}, … in commands there stand for the part's `values`. Format 1
has scenes without shared facts. Both name some parts otherwise than format 3.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from .model import FORMAT

HOLE: Final = re.compile(r"\{(\d+)\}")
# Parts of a scene whose shared facts have the name of another part.
SHARED_AS: Final = {"translation": "words"}
STAGES: Final = {"cuts": "scenes", "picture": "enhance", "words": "subtitles", "sound": "audio"}

Facts = dict[str, Any]


def upgrade(document: Mapping[str, Any]) -> Facts:
    """Return the JSON values of a document in format 3. Raises LookupError, TypeError or ValueError for a wrong one."""
    return {**document, "format": FORMAT, "how": _how(document["how"]), "run": _run(document["run"])}


def _how(how: Mapping[str, Any]) -> Facts:
    changed = {key: value for key, value in how.items() if key not in ("alike", "scenes_of_their_own", "sound")}
    return {
        **changed,
        "scene_overrides": how["scenes_of_their_own"],
        "models": [{**model, "used_for": _stage(model["used_for"])} for model in how["models"]],
        "seeds": {"subtitles": how["seeds"]["words"], "enhance": how["seeds"]["networks"]},
        "programs": {_stage(work): programs for work, programs in how["programs"].items()},
        "audio": how["sound"] or None,
        "scenes": [_scene(scene) for scene in _whole_scenes(how)],
    }


def _stage(work: str) -> str:
    return STAGES.get(work, work)


def _scene(scene: Mapping[str, Any]) -> Facts:
    kept = {key: value for key, value in scene.items() if key not in ("picture", "words")}
    clip = {key: value for key, value in scene["picture"].items() if (key, value) != ("cut_with", {})}
    return {**kept, "enhance": clip or None, "subtitles": scene["words"] or None}


def _run(run: Mapping[str, Any]) -> Facts:
    scenes = [
        {"scene": scene["scene"], "jobs": {rule: job for rule, job in scene.items() if rule != "scene"}}
        for scene in _whole_scenes(run)
    ]
    return {**{key: value for key, value in run.items() if key != "alike"}, "scenes": scenes}


def _whole_scenes(section: Mapping[str, Any]) -> list[Facts]:
    """Scenes with their shared facts filled in."""
    alike = section.get("alike", {})
    return [
        {part: _whole(facts, alike.get(SHARED_AS.get(part, part), {})) for part, facts in scene.items()}
        for scene in section["scenes"]
    ]


def _whole(own: Any, alike: Mapping[str, Any]) -> Any:
    if not isinstance(own, Mapping) or "like" not in own:
        return own
    shared, values = alike[own["like"]], own.get("values", [])
    return {**_filled(shared, values), **{key: value for key, value in own.items() if key not in ("like", "values")}}


def _filled(facts: Mapping[str, Any], values: Sequence[str]) -> Facts:
    """Facts with `values` in the holes of their commands. Without values nothing in braces is a hole."""
    filled = dict(facts)
    if values and "commands" in facts:
        filled["commands"] = [_fill(command, values) for command in facts["commands"]]
    if values and "command" in facts.get("cut_with", {}):
        filled["cut_with"] = {**facts["cut_with"], "command": _fill(facts["cut_with"]["command"], values)}
    return filled


def _fill(command: str, values: Sequence[str]) -> str:
    return HOLE.sub(lambda hole: values[int(hole[1]) - 1], command)
