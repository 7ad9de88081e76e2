"""The settings: the config, the chain with the table of scenes, and the profile."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from tapemill.core.errors import ConfigError

from .findings import CheckOptions, Finding, ok, warning

CONFIG: Final = Path("config/config.yaml")


def check_config(asked: CheckOptions) -> Iterator[Finding]:
    """Whether the config is there and every value may be."""
    config()
    yield ok(f"{CONFIG} is valid")


def check_chain(asked: CheckOptions) -> Iterator[Finding]:
    """Whether the chain, and the table of scenes with settings of their own, can be."""
    steps = [next(iter(step.values())) for step in enhancement().of_tape["chain"]]
    names = [step if isinstance(step, str) else f"network {step['model']}" for step in steps]
    yield ok(f"the chain: {', '.join(names)}", _table())


def check_profile(asked: CheckOptions) -> Iterator[Finding]:
    """Whether the profile says what the workflow relies on after a crash, and to make nothing again in vain."""
    if asked.profile is None:
        return
    values, file = profile_values(asked.profile), profile_file(asked.profile)
    triggers = values.get("rerun-triggers")
    said = set(triggers.split()) if isinstance(triggers, str) else set(triggers or ())
    if said != {"mtime", "params", "input"}:
        yield warning(
            "the profile does not say `rerun-triggers: [mtime, params, input]`: finished work may be made again because"
            " a file of Tapemill has a new time",
            f"add it to {file}",
        )
    for key, why in (("nolock", "after a crash a lock stays behind"), ("rerun-incomplete", "after a crash it stops")):
        if values.get(key) is not True:
            yield warning(f"the profile does not say `{key}: true`: {why}", f"add it to {file}")
    yield ok(f"the profile is {file}")


@cache
def config() -> dict[str, Any]:
    """The config as a run would see it, defaults filled in. Raises ConfigError."""
    from tapemill.config.schema import load_config

    values = _read(CONFIG)
    if not isinstance(values, Mapping):
        raise ConfigError(
            "the config holds no keys at its top level", file=CONFIG, remedy="restore the file (`git checkout`)"
        )
    return load_config(values)


def setting(key: str) -> Any:
    """A key of the config, or a whole section; what the schema says where the config cannot be used."""
    from tapemill.config.schema import schema, with_defaults

    try:
        return config()[key]
    except ConfigError:
        return with_defaults({}, schema("config"))[key]


@cache
def enhancement() -> Any:
    """The chain of each scene (`SceneSettings`). Raises ConfigError and ModelError."""
    from tapemill.config.tape_sheet import read_sheet
    from tapemill.enhance import SceneSettings

    tapes = [tape.tape for _, tape in read_sheet(Path(setting("sheet")))]
    return SceneSettings.planned(config()["enhance"], tapes)


def _read(path: Path) -> Any:
    """What a YAML file says. Raises ConfigError."""
    import yaml

    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as exc:
        raise ConfigError(
            "there is no config here",
            file=path.absolute(),
            remedy="run in the folder that holds config/ and results/, or restore the file (`git checkout`)",
        ) from exc
    except yaml.MarkedYAMLError as exc:
        line = "" if exc.problem_mark is None else f"line {exc.problem_mark.line + 1}: "
        raise ConfigError(
            f"the config is no YAML: {line}{exc.problem or exc.context}",
            file=path,
            remedy="mind the blanks at the beginning of lines, and use no tabs",
        ) from exc
    except (OSError, ValueError, yaml.YAMLError) as exc:
        said = exc.strerror if isinstance(exc, OSError) else str(exc).partition("\n")[0]
        raise ConfigError(
            f"the config cannot be read: {said}", file=path, remedy="see who may read it; save it as UTF-8"
        ) from exc


def _table() -> list[tuple[str, str]]:
    rows = len(enhancement().overrides)
    return [("of their own", f"{rows} rows in {config()['enhance']['overrides']}")] if rows else []


def profile_file(profile: str) -> Path:
    """Its file, looked for where Snakemake would. Raises ConfigError if there is none."""
    from snakemake.cli import get_profile_dir

    found = get_profile_dir(profile)
    if found is None:
        known = ", ".join(sorted(str(path.parent) for path in Path("profiles").glob("*/config.yaml")))
        raise ConfigError(
            f"there is no profile {profile!r}",
            remedy=f"take one of {known}" if known else "run in the folder that holds `profiles`",
        )
    return Path(found[1])


def profile_values(profile: str | None) -> Mapping[str, Any]:
    """What it says; nothing without a profile. Raises ConfigError if it cannot be read."""
    if profile is None:
        return {}
    import yaml

    file = profile_file(profile)
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as exc:
        said = str(exc).replace("\n", " ")
        raise ConfigError(f"the profile cannot be read: {said}", file=file, remedy="correct the file") from exc
    return values if isinstance(values, Mapping) else {}
