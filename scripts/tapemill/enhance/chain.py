"""Chain of restoration steps: their order and settings, parsed, validated and resolved.

In the config a step is a name (`denoise`), or a name with settings (`denoise: {luma_spatial: 3}`). While Snakemake
plans, the whole chain is validated and resolved: presets expanded, models found. Jobs get it as plain values.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

from tapemill.core.errors import ConfigError
from tapemill.models import Kind, Model

from .settings import PRESETS, EnhanceSettings, Preset

# The settings of each step, and the keys of the section `enhance` with their defaults.
STEP_KEYS: Final[Mapping[str, Mapping[str, str]]] = {
    "deinterlace": {"mode": "deinterlace"},
    "crop": {name: f"crop_{name}" for name in ("top_lines", "bottom_lines", "left_samples", "right_samples")},
    "denoise": {
        name: f"denoise_{name}" for name in ("luma_spatial", "luma_temporal", "chroma_spatial", "chroma_temporal")
    },
    "chroma_shift": {"samples": "chroma_shift_samples", "lines": "chroma_shift_lines"},
    "chroma_bleed": {"strength": "chroma_bleed", "samples": "chroma_bleed_samples"},
    "deband": {"levels": "deband_levels"},
    "sharpen": {"strength": "sharpen"},
    "resize": {"height_lines": "height_lines"},
    "grain": {"levels": "grain_levels"},
}
NETWORK: Final = "network"
# Steps that shape all clips of a tape; their settings are stored in the section.
SHAPING: Final = frozenset({"deinterlace", "crop", "resize"})
REPEATABLE: Final = frozenset({"denoise", "deband", "sharpen", NETWORK})
# Steps whose settings count samples of the capture.
CAPTURE_SCALED: Final = frozenset({"chroma_shift", "chroma_bleed"})

_FILTERS: Final = ("deinterlace", "crop", "denoise", "chroma_shift", "chroma_bleed", "deband", "sharpen")
_END: Final = ("resize", "grain")


FindModel = Callable[[str], Model]


@dataclass(frozen=True)
class FilterStep:
    """Step that is an ffmpeg filter."""

    name: str
    own: Mapping[str, float] = field(default_factory=dict)
    """Settings of this step, by their keys in the section."""


@dataclass(frozen=True)
class NetworkStep:
    """Step that is a neural network."""

    model: str
    """Name in the config."""
    kind: Kind
    file: str
    sha256: str
    scale: int
    strength: float = 1.0
    """Share of the network's result in the blend with its input, 0 to 1."""
    sigma: float = 10.0
    """Noise level for non-blind networks: standard deviation in levels of 255."""
    frames: int | None = None
    """Frames of a VRT window; None: as many as fit."""
    blend: Literal["smooth", "plain"] = "smooth"
    """Blending of tiles: smooth windows, or that of the authors of VRT, for comparison with their figures."""


@dataclass(frozen=True)
class Chain:
    """Steps between deinterlacing and crop, which come first, and the output format."""

    before: tuple[FilterStep, ...]
    networks: tuple[NetworkStep, ...]
    after: tuple[FilterStep, ...]
    """Filters between the networks and resizing; without networks all are in `before`."""
    last: tuple[FilterStep, ...]
    """Filters after resizing."""

    @classmethod
    def of(cls, settings: EnhanceSettings) -> Chain:
        """Build the chain of resolved settings, or of a preset without networks."""
        steps = settings.chain
        if steps is None:
            steps = [{"filter": name, "own": {}} for name in preset_chain(settings.preset, "", "")]
        names = [step.get("filter", NETWORK) for step in steps]
        filters = [None if "network" in step else FilterStep(step["filter"], step["own"]) for step in steps]
        networks = tuple(NetworkStep(**step["network"]) for step in steps if "network" in step)
        resized = names.index("resize")
        first = names.index(NETWORK) if networks else resized
        return cls(
            before=_filters_only(filters[:first]),
            networks=networks,
            after=_filters_only(filters[first:resized]),
            last=_filters_only(filters[resized:]),
        )

    @property
    def scale(self) -> int:
        """Upscaling factor of all networks together."""
        scale = 1
        for step in self.networks:
            scale *= step.scale
        return scale


def _filters_only(steps: Sequence[FilterStep | None]) -> tuple[FilterStep, ...]:
    return tuple(step for step in steps if step is not None and step.name not in SHAPING)


# Model names in `preset_chains`.
FRAME_MODEL: Final = "{frame_model}"
VRT_MODEL: Final = "{vrt_model}"


def preset_chains() -> dict[str, tuple[Any, ...]]:
    """Return the steps of every preset, in the form of the config, with placeholders for its models."""
    return {preset: tuple(preset_chain(preset, FRAME_MODEL, VRT_MODEL)) for preset in PRESETS}


def preset_chain(preset: Preset, frame_model: str, vrt_model: str) -> list[Any]:
    """The steps of a preset, in the form of the config."""
    frame, vrt = {NETWORK: {"model": frame_model}}, {NETWORK: {"model": vrt_model}}
    if preset == "good":
        return [*_FILTERS[:5], frame, *_FILTERS[5:], *_END]
    if preset == "best":
        return [*_FILTERS[:5], vrt, frame, *_FILTERS[5:], *_END]
    return [*_FILTERS, *_END]


def resolve_chain(
    section: Mapping[str, Any], find: FindModel, check: Callable[[Mapping[str, Any]], None]
) -> dict[str, Any]:
    """Resolve and validate the chain of the section `enhance`, for `EnhanceSettings(**...)` and as params of jobs.

    `find` finds a model by name (ConfigError if there is none), `check` validates values by keys of the section. Raises
    ConfigError for an invalid step, setting or order.
    """
    steps = _parsed(_configured_chain(section))
    validate_order([name for name, _ in steps])
    complete = dict(section)
    chain: list[dict[str, Any]] = []
    for name, values in steps:
        if name == NETWORK:
            chain.append({"network": asdict(_network(values, find))})
            continue
        own = {STEP_KEYS[name][key]: value for key, value in values.items()}
        check(own)
        if name in SHAPING:
            complete.update(own)
            own = {}
        chain.append({"filter": name, "own": own})
    if not any(step.get("filter") == "resize" for step in chain):
        position = next((n for n, step in enumerate(chain) if step.get("filter") == "grain"), len(chain))
        chain.insert(position, {"filter": "resize", "own": {}})
    return {**complete, "chain": chain}


def _configured_chain(section: Mapping[str, Any]) -> Sequence[Any]:
    chain = section["chain"]
    if chain is not None:
        return list(chain)
    return preset_chain(section["preset"], section["frame_model"], section["vrt_model"])


def _parsed(chain: Sequence[Any]) -> list[tuple[str, Mapping[str, Any]]]:
    return [_step(number, entry) for number, entry in enumerate(chain, 1)]


def _step(number: int, entry: Any) -> tuple[str, Mapping[str, Any]]:
    where = f"enhance.chain, step {number}"
    if isinstance(entry, str):
        entry = {entry: None}
    if not isinstance(entry, Mapping) or len(entry) != 1:
        raise ConfigError(
            f"{where}: {entry!r} is not a step", remedy="write a name, or one name with its settings in braces"
        )
    ((name, values),) = entry.items()
    _require_known(str(name), [*STEP_KEYS, NETWORK], f"{where}: there is no step")
    values = values or {}
    if not isinstance(values, Mapping):
        raise ConfigError(
            f"{where}: the settings of {name} must be like {{{next(iter(_settings(name)))}: ...}}",
            remedy="docs/networks.md shows the syntax of a chain",
        )
    for key in values:
        _require_known(str(key), _settings(name), f"{where}: {name} has no setting")
    return str(name), values


def _settings(name: str) -> list[str]:
    return [*_RANGES, "model", "blend"] if name == NETWORK else list(STEP_KEYS[name])


def _require_known(word: str, known: Sequence[str], what: str) -> None:
    if word not in known:
        near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
        raise ConfigError(f"{what} {word!r}", remedy=hint)


_RANGES: Final[Mapping[str, tuple[float, float]]] = {"strength": (0, 1), "sigma": (0, 75), "frames": (2, 120)}


def _network(values: Mapping[str, Any], find: FindModel) -> NetworkStep:
    name = values.get("model")
    if not isinstance(name, str) or not name:
        raise ConfigError("enhance.chain: a network needs a model", remedy="write `network: {model: ...}`")
    for key, (lowest, highest) in _RANGES.items():
        value = values.get(key)
        wrong_kind = isinstance(value, bool) or not isinstance(value, int if key == "frames" else int | float)
        if value is not None and (wrong_kind or not lowest <= value <= highest):
            raise ConfigError(
                f"enhance.chain: {key} of {name} is {value!r}, it must be a number, {lowest} to {highest}",
                remedy="docs/networks.md lists the settings of a network",
            )
    if values.get("blend", "smooth") not in ("smooth", "plain"):
        raise ConfigError(
            f"enhance.chain: blend of {name} is {values['blend']!r}, it must be smooth or plain",
            remedy="docs/networks.md lists the settings of a network",
        )
    model = find(name)
    settings = {key: value for key, value in values.items() if value is not None and key != "model"}
    # A file that was not inspected yet has no kind and scale; `snakemake fetch_models` inspects it before any job runs.
    return NetworkStep(name, model.kind or "frame", str(model.path), model.sha256, model.scale or 1, **settings)


def validate_order(names: Sequence[str]) -> None:
    """Raise ConfigError for an invalid order of steps."""
    for problem in _order_problems(names):
        raise ConfigError(f"enhance.chain: {problem}", remedy="docs/networks.md has the rules for the order of steps")


def _order_problems(names: Sequence[str]) -> Iterator[str]:
    for name in dict.fromkeys(names):
        if names.count(name) > 1 and name not in REPEATABLE:
            yield f"{name} appears twice"
    networks = [position for position, name in enumerate(names) if name == NETWORK]
    resized = names.index("resize") if "resize" in names else len(names)
    for position, name in enumerate(names):
        earlier = set(names[:position])
        if name == "deinterlace" and earlier:
            yield "deinterlace must be the first step: all others need whole frames"
        if name == "crop" and earlier - {"deinterlace"}:
            yield "crop must come before all steps but deinterlace: it counts lines of the capture"
        if name in CAPTURE_SCALED and earlier & {NETWORK, "resize"}:
            yield f"{name} must come before networks and resize: it counts samples of the capture"
        if name == NETWORK and position > resized:
            yield "a network must come before resize: it restores the capture's own samples"
        if name == "grain" and (set(names[position:]) - {"grain"}):
            yield "grain must be the last step: other steps would treat it as noise"
    if networks and (between := [name for name in names[networks[0] : networks[-1]] if name != NETWORK]):
        yield f"{between[0]} is between two networks: place it before the first or after the last of them"
