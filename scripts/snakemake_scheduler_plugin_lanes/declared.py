"""Lanes declared by the profile, in case `--resources` on the command line names only some of them.

Options on the command line replace a profile's whole list (argparse does not merge): `--resources gpu1=0`, intended to
remove one GPU, would remove all. So the profile is read again for those the command line does not name.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from snakemake.cli import get_profile_dir


def lanes_of_profile(arguments: Sequence[str], environ: Mapping[str, str]) -> dict[str, int]:
    """Return the resources gpu0, gpu1, ... of the profile in use; empty without one, or if none is a plain number."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--profile", default=environ.get("SNAKEMAKE_PROFILE", ""))
    profile = parser.parse_known_args(list(arguments))[0].profile
    found = get_profile_dir(profile) if profile and profile != "none" else None
    if found is None:
        return {}
    import yaml  # imported only if this scheduler is used

    values = yaml.safe_load(Path(found[1]).read_text(encoding="utf-8"))
    resources = (values or {}).get("resources", {})
    pairs = resources.items() if isinstance(resources, Mapping) else (str(entry).split("=", 1) for entry in resources)
    lanes = {str(name): str(value) for name, value in pairs if str(name).startswith("gpu") and str(name) != "gpu"}
    return {name: int(value) for name, value in lanes.items() if value.isdecimal()}
