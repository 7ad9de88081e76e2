"""Checks of Python, packages and Snakemake's plugins."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from tapemill.devices import ipex

from .config import profile_values
from .findings import CheckOptions, Finding, error, ok, warning

ROOT: Final = Path(__file__).parents[3]
OLDEST_PYTHON: Final = (3, 11)
# Packages whose versions are printed.
NOTABLE: Final = ("snakemake", "torch", "av", "openai-whisper", "spandrel", "imageio-ffmpeg")
SETUP: Final = "run `make setup`, and `. .venv/bin/activate`"
# Kinds of plugins that a profile can name, with the default.
PLUGINS: Final[Mapping[str, str]] = {"executor": "", "scheduler": "lanes", "logger": "rich", "storage": ""}


def check_python(options: CheckOptions) -> Iterator[Finding]:
    """Check the version of Python."""
    is_old = sys.version_info < OLDEST_PYTHON
    title = f"Python {'.'.join(map(str, sys.version_info[:3]))}"
    facts = [("program", sys.executable)]
    if is_old:
        yield error(f"{title} is too old", "install Python 3.11 or newer, then `make setup PYTHON=python3.12`", facts)
    else:
        yield ok(title, facts)


def check_packages(options: CheckOptions) -> Iterator[Finding]:
    """Check that the packages of Tapemill are installed, in the versions of the lock."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = {_normalised(re.split(r"[<>=]", each)[0]): each for each in project["project"]["dependencies"]}
    locked = dict(_locked((ROOT / "requirements.lock").read_text(encoding="utf-8")))
    if ipex.extension_version():
        locked |= _locked((ROOT / "envs" / "ipex.lock").read_text(encoding="utf-8"))
    installed = {name: found for name in {*wanted, *locked} if (found := _installed(name)) is not None}
    missing = sorted(wanted.keys() - installed.keys())
    if missing:
        yield error(f"not installed: {', '.join(missing)}", SETUP)
    versions = ", ".join(f"{name} {installed[name]}" for name in NOTABLE if name in installed)
    if versions:
        yield ok(versions, [("in", str(Path(sys.prefix)))])
    other = [
        f"{name} {installed[name]} (lock: {locked[name]})"
        for name in sorted(installed.keys() & locked.keys())
        # The part after the plus is the device that a package was built for.
        if installed[name].partition("+")[0] != locked[name]
    ]
    if other:
        yield warning(
            f"{len(other)} package{'s' if len(other) != 1 else ''} not as in requirements.lock, with which Tapemill is"
            " tested",
            f"{SETUP} to install exactly those",
            [("package", each) for each in other],
        )


def check_plugins(options: CheckOptions) -> Iterator[Finding]:
    """Check that Snakemake finds the plugins that the profile names."""
    values = profile_values(options.profile)
    named = {kind: values.get(kind, usual) for kind, usual in PLUGINS.items()}
    # These are part of Snakemake itself.
    named = {kind: str(name) for kind, name in named.items() if name and name not in ("local", "greedy", "ilp")}
    missing = {
        kind: name for kind, name in named.items() if find_spec(f"snakemake_{kind}_plugin_{_module(name)}") is None
    }
    for kind, name in missing.items():
        # Those that come with Tapemill, or that its lock names.
        how = SETUP if name == PLUGINS[kind] else f"`pip install snakemake-{kind}-plugin-{name}`"
        remedy = f"{how}; or choose another {kind} in the profile"
        yield error(f"the {kind} {name!r} of the profile is not installed", remedy)
    rest = [f"{kind} {name}" for kind, name in named.items() if kind not in missing]
    if rest:
        yield ok(f"Snakemake plugins: {', '.join(rest)}")


def _normalised(name: str) -> str:
    """Normalised name of a package (PEP 503): spelled with hyphens, in lower case."""
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def _module(name: str) -> str:
    return name.replace("-", "_")


def _locked(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        name, found, pinned = line.partition("==")
        if found and not line.startswith("#"):
            yield _normalised(name), pinned.strip()


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
