"""The lanes that a profile declares, when `--resources` on the command line speaks of one of them only.

What is given on the command line replaces a profile's whole list (argparse knows no merging): `--resources gpu1=0`,
which means to take one card away, would take all. So the profile is asked again for those the command line does not
name.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from snakemake.cli import get_profile_dir


def lanes_of_profile(arguments: Sequence[str], environ: Mapping[str, str]) -> dict[str, int]:
    """Resources gpu0, gpu1, ... of the profile in use; empty without one, or if none of them is a plain number."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--profile", default=environ.get("SNAKEMAKE_PROFILE", ""))
    profile = parser.parse_known_args(list(arguments))[0].profile
    found = get_profile_dir(profile) if profile and profile != "none" else None
    if found is None:
        return {}
    import yaml  # nobody pays for it who takes another scheduler

    values = yaml.safe_load(Path(found[1]).read_text(encoding="utf-8"))
    resources = (values or {}).get("resources", {})
    pairs = resources.items() if isinstance(resources, Mapping) else (str(entry).split("=", 1) for entry in resources)
    lanes = {str(name): str(value) for name, value in pairs if str(name).startswith("gpu") and str(name) != "gpu"}
    return {name: int(value) for name, value in lanes.items() if value.isdecimal()}
