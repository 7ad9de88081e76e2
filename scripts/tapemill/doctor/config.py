"""Checks of the settings: config, chain with scene overrides, and profile."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from tapemill.core.errors import ConfigError

from .findings import CheckOptions, Finding, ok, warning

CONFIG: Final = Path("config/config.yaml")


def check_config(options: CheckOptions) -> Iterator[Finding]:
    """Check that the config exists and every value is valid."""
    from tapemill.config.schema import renamed_keys

    config()
    for note in renamed_keys(_read_yaml(CONFIG)):
        yield warning(note, "use the new name; the old one keeps working")
    yield ok(f"{CONFIG} is valid")


def check_chain(options: CheckOptions) -> Iterator[Finding]:
    """Check the chain, and the table of scenes with settings of their own."""
    steps = [next(iter(step.values())) for step in enhancement().of_tape["chain"]]
    names = [step if isinstance(step, str) else f"network {step['model']}" for step in steps]
    yield ok(f"the chain: {', '.join(names)}", _override_facts())


def check_profile(options: CheckOptions) -> Iterator[Finding]:
    """Check that the profile has the settings that the workflow needs after a crash and to avoid needless reruns."""
    if options.profile is None:
        return
    values, file = profile_values(options.profile), profile_file(options.profile)
    triggers = values.get("rerun-triggers")
    found = set(triggers.split()) if isinstance(triggers, str) else set(triggers or ())
    if found != {"mtime", "params", "input"}:
        yield warning(
            "the profile does not set `rerun-triggers: [mtime, params, input]`: finished work may be repeated because"
            " a file of Tapemill has a new time",
            f"add it to {file}",
        )
    for key, why in (("nolock", "after a crash a lock remains"), ("rerun-incomplete", "after a crash it stops")):
        if values.get(key) is not True:
            yield warning(f"the profile does not set `{key}: true`: {why}", f"add it to {file}")
    yield ok(f"the profile is {file}")


@cache
def config() -> dict[str, Any]:
    """Load the config as a run does, defaults filled in. Raises ConfigError."""
    from tapemill.config.schema import load_config

    values = _read_yaml(CONFIG)
    if not isinstance(values, Mapping):
        raise ConfigError(
            "the config holds no keys at its top level", file=CONFIG, remedy="restore the file (`git checkout`)"
        )
    return load_config(values)


@cache
def own_config() -> dict[str, Any]:
    """Load the config as its owner wrote it, with new names for keys that were renamed. Raises ConfigError."""
    from tapemill.config.schema import with_new_names

    config()
    return with_new_names(_read_yaml(CONFIG))


def setting(key: str) -> Any:
    """A key of the config, or a whole section; the default of the schema if the config is invalid."""
    from tapemill.config.schema import schema, with_defaults

    try:
        return config()[key]
    except ConfigError:
        return with_defaults({}, schema("config"))[key]


@cache
def enhancement() -> Any:
    """The settings of each scene (`SceneSettings`). Raises ConfigError and ModelError."""
    from tapemill.config.tape_sheet import read_sheet
    from tapemill.enhance import SceneSettings

    tapes = [tape.tape for _, tape in read_sheet(Path(setting("sheet")))]
    return SceneSettings.planned(config()["enhance"], tapes)


def _read_yaml(path: Path) -> Any:
    """Read the YAML file of the config. Raises ConfigError."""
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
            f"the config is not valid YAML: {line}{exc.problem or exc.context}",
            file=path,
            remedy="check the spaces at the beginning of lines, and use no tabs",
        ) from exc
    except (OSError, ValueError, yaml.YAMLError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else str(exc).partition("\n")[0]
        raise ConfigError(
            f"the config cannot be read: {reason}", file=path, remedy="check who may read it; save it as UTF-8"
        ) from exc


def _override_facts() -> list[tuple[str, str]]:
    rows = len(enhancement().overrides)
    return [("overrides", f"{rows} rows in {config()['enhance']['overrides']}")] if rows else []


def profile_file(profile: str) -> Path:
    """Path of a profile's file, found as Snakemake does. Raises ConfigError if there is none."""
    from snakemake.cli import get_profile_dir

    found = get_profile_dir(profile)
    if found is None:
        known = ", ".join(sorted(str(path.parent) for path in Path("profiles").glob("*/config.yaml")))
        raise ConfigError(
            f"there is no profile {profile!r}",
            remedy=f"use one of {known}" if known else "run in the folder that holds `profiles`",
        )
    return Path(found[1])


def profile_values(profile: str | None) -> Mapping[str, Any]:
    """Values of a profile; empty without a profile. Raises ConfigError if it cannot be read."""
    if profile is None:
        return {}
    import yaml

    file = profile_file(profile)
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as exc:
        reason = str(exc).replace("\n", " ")
        raise ConfigError(f"the profile cannot be read: {reason}", file=file, remedy="correct the file") from exc
    return values if isinstance(values, Mapping) else {}
