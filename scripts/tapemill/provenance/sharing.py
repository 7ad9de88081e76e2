"""What scenes have in common is said once: a tape of 1,000 scenes would say the same commands and settings 1,000 times.

`shared` takes out of a document what several scenes say alike, `whole` is its inverse. A part of a scene that has the
key `like` is, together with its own facts, what `alike` calls so; {1}, {2}, … in commands there stand for its `values`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from .run_history import OF_SCENE

# Parts of a scene by what they are: a translation is words too.
HOW: Final[Mapping[str, str]] = {"picture": "picture", "words": "words", "translation": "words"}
RUN: Final[Mapping[str, str]] = {rule: rule for rule in OF_SCENE}
# Facts that scenes hardly have in common. All others are taken to be alike, and still told right if they are not.
OWN: Final[Mapping[str, frozenset[str]]] = {
    "picture": frozenset({"frames_in", "frames_out", "likeness", "field_orders_seen", "stands_in", "kept_original"}),
    "words": frozenset({"audio_sha256", "srt_sha256", "left_empty"}),
    **dict.fromkeys(
        OF_SCENE, frozenset({"span_s", "seconds", "frames", "frames_per_s", "peak_memory_bytes", "notices"})
    ),
}
NUMBER: Final = re.compile(r"\d+(?:\.\d+)?")
HOLE: Final = re.compile(r"\{(\d+)\}")
# No argument of a program can hold it.
BLANK: Final = "\0"

Facts = dict[str, Any]


def shared(document: Mapping[str, Any]) -> Facts:
    """The document with all that its scenes say alike in `how.alike` and `run.alike`."""
    return {
        **document,
        "how": _section_shared(document["how"], HOW),
        "run": _section_shared(document["run"], RUN),
    }


def whole(document: Mapping[str, Any]) -> Facts:
    """The document with scenes that say all of their own, as also documents of format 1 have them."""
    return {**document, **{name: _section_whole(document[name]) for name in ("how", "run") if name in document}}


def text(value: Any) -> str:
    """As JSON, the same for the same value: objects over several lines, but each entry of a list in one."""
    return _text(value, "\n") + "\n"


def _section_shared(section: Mapping[str, Any], parts: Mapping[str, str]) -> Facts:
    scenes = [dict(scene) for scene in section["scenes"]]
    alike: dict[str, Facts] = {}
    for kind in dict.fromkeys(parts.values()):
        places = [(scene, part) for scene in scenes for part in parts if parts[part] == kind and scene.get(part)]
        told, alike_of_kind = _shared([scene[part] for scene, part in places], OWN[kind])
        for (scene, part), facts in zip(places, told, strict=True):
            scene[part] = facts
        if alike_of_kind:
            alike[kind] = alike_of_kind
    return {**section, "alike": alike, "scenes": scenes}


def _shared(facts: Sequence[Facts], own: frozenset[str]) -> tuple[list[Facts], Facts]:
    """What is left of similar facts, and what they have in common, by the names that `like` gives."""
    groups: dict[str, list[int]] = {}
    for place, each in enumerate(facts):
        rest = {key: value for key, value in each.items() if key not in own}
        blank = _with_commands(rest, [NUMBER.sub(BLANK, command) for command in _variable(rest)])
        groups.setdefault(json.dumps(blank, sort_keys=True), []).append(place)
    told: list[Facts] = [{} for _ in facts]
    alike: Facts = {}
    for name, places in enumerate(groups.values(), 1):
        rests = [{key: value for key, value in facts[place].items() if key not in own} for place in places]
        alike[str(name)], values = _template(rests)
        for place, filling in zip(places, values, strict=True):
            told[place] = {key: value for key, value in facts[place].items() if key in own} | {"like": str(name)}
            if filling:
                told[place]["values"] = filling
    return told, alike


def _template(rests: Sequence[Facts]) -> tuple[Facts, list[list[str]]]:
    """Facts that are the same but for numbers in their commands: with holes there, and what fills them in each."""
    first = _variable(rests[0])
    numbers = [[number for command in _variable(rest) for number in NUMBER.findall(command)] for rest in rests]
    holes: dict[tuple[str, ...], int] = {}
    # What is the same number everywhere stays, what is always equal to another one is the same hole.
    written = iter(
        [
            column[0] if len(set(column)) == 1 else f"{{{holes.setdefault(column, len(holes) + 1)}}}"
            for column in zip(*numbers, strict=True)
        ]
    )
    commands = [NUMBER.sub(lambda _: next(written), command) for command in first]
    values = [list(each) for each in zip(*holes, strict=True)]
    return _with_commands(rests[0], commands), values or [[]] * len(rests)


def _variable(facts: Mapping[str, Any]) -> list[str]:
    """The commands in which numbers may be taken out: none, if one holds by itself what a hole would look like."""
    commands = _commands(facts)
    return [] if any(HOLE.search(command) for command in commands) else commands


def _commands(facts: Mapping[str, Any]) -> list[str]:
    cut = facts.get("cut_with", {})
    return [*facts.get("commands", ()), *([cut["command"]] if "command" in cut else ())]


def _with_commands(facts: Mapping[str, Any], commands: Sequence[str]) -> Facts:
    """The facts with other commands in the place of theirs; with none they stay."""
    if not commands:
        return dict(facts)
    count = len(facts.get("commands", ()))
    changed = dict(facts)
    if count:
        changed["commands"] = list(commands[:count])
    if commands[count:]:
        changed["cut_with"] = {**facts["cut_with"], "command": commands[count]}
    return changed


def _section_whole(section: Mapping[str, Any]) -> Facts:
    alike = section.get("alike", {})
    scenes = [
        {part: _whole(facts, alike.get(HOW.get(part, part), {})) for part, facts in scene.items()}
        for scene in section.get("scenes", ())
    ]
    return {key: value for key, value in section.items() if key != "alike"} | ({"scenes": scenes} if scenes else {})


def _whole(told: Any, alike: Mapping[str, Any]) -> Any:
    """What is told of a part of a scene, its name for instance, with what it has in common with others."""
    if not isinstance(told, Mapping) or "like" not in told:
        return told
    facts, values = alike[told["like"]], told.get("values")
    if values:
        filled = [HOLE.sub(lambda hole: values[int(hole[1]) - 1], command) for command in _commands(facts)]
        facts = _with_commands(facts, filled)
    return {**facts, **{key: value for key, value in told.items() if key not in ("like", "values")}}


def _text(value: Any, margin: str) -> str:
    inner = f"{margin}  "
    if isinstance(value, Mapping) and value:
        return "{" + inner + f",{inner}".join(_members(value, inner)) + margin + "}"
    if isinstance(value, list) and value:
        return "[" + inner + f",{inner}".join(map(_line, value)) + margin + "]"
    return _line(value)


def _members(value: Mapping[str, Any], margin: str) -> Iterable[str]:
    return (f"{_line(key)}: {_text(value[key], margin)}" for key in sorted(value))


def _line(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
