"""`tapemill run`: Snakemake with the profile of this machine."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from tapemill.devices.device import Kind
from tapemill.devices.enumerate import enumerate_gpus
from tapemill.devices.torch_build import torch_build

ROOT: Final = Path(__file__).resolve().parents[3]
PROFILES: Final[dict[Kind, str]] = {"xpu": "arc2", "cuda": "cuda", "hip": "rocm", "cpu": "cpu"}


def add_command(commands: Any) -> None:
    """Add `run` to the subcommands of an argument parser."""
    parser = commands.add_parser(
        "run",
        prefix_chars="\0",  # every argument, options too, belongs to Snakemake
        add_help=False,
        help="restore the tapes: snakemake with the profile of this machine",
    )
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    parser.set_defaults(command=_command)


def _command(options: argparse.Namespace) -> int:
    if options.arguments[:1] in (["-h"], ["--help"]):
        sys.stdout.write(
            "usage: tapemill run [SNAKEMAKE ARGUMENTS]\n\n"
            "Calls snakemake with these arguments and the profile of this machine: arc2 with Intel GPUs, cuda with\n"
            "NVIDIA GPUs, rocm with AMD GPUs, otherwise cpu. `--profile` or SNAKEMAKE_PROFILE sets another profile.\n"
            "`snakemake --help` lists the arguments.\n"
        )
        return 0
    command = snakemake_command(options.arguments, os.environ, Path.cwd(), machine_kind)
    # In the place of this process, so that signals and exit codes are Snakemake's own.
    return os.execv(sys.executable, command)  # noqa: S606  a list of arguments, and no shell is meant


def snakemake_command(
    arguments: Sequence[str], environ: Any, folder: Path, kind_of_machine: Callable[[], Kind]
) -> list[str]:
    """The command line of Snakemake for these arguments, in a working folder.

    A folder without a Snakefile of its own uses the one of this checkout.
    """
    command = [sys.executable, "-m", "snakemake"]
    names = {argument.partition("=")[0] for argument in arguments}
    if not ({"--profile"} & names or environ.get("SNAKEMAKE_PROFILE")):
        command += ["--profile", str(ROOT / "profiles" / PROFILES.get(kind_of_machine(), "cpu"))]
    if not ({"--snakefile", "-s"} & names or (folder / "Snakefile").exists()):
        command += ["--snakefile", str(ROOT / "Snakefile")]
    return [*command, *arguments]


def machine_kind() -> Kind:
    """The kind of GPU that the installed torch computes on and this machine has; else the CPU."""
    for kind in torch_build().kinds:
        if kind in PROFILES and enumerate_gpus(kind):
            return kind
    return "cpu"
