"""The profile that a run would be started with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import ConfigError


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
    except (OSError, ValueError, yaml.YAMLError) as error:
        said = str(error).replace("\n", " ")
        raise ConfigError(f"the profile cannot be read: {said}", file=file, remedy="correct the file") from error
    return values if isinstance(values, Mapping) else {}
