"""Command `tapemill renew`: have finished tapes made anew with the recipe and the defaults of this version."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tapemill.core.errors import ConfigError
from tapemill.core.result_paths import RESULTS
from tapemill.doctor.config import config, own_config
from tapemill.process import run_lock
from tapemill.workflow.settings import WorkflowSettings, load_settings
from tapemill.workflow.tape_recipe import recipe_of_tape, todays_recipe, write_recipe

SNAKEMAKE_FOLDER: Final = Path(".snakemake")


def add_command(commands: Any) -> None:
    """Add `renew` to the subcommands of an argument parser."""
    parser = commands.add_parser(
        "renew",
        help="have tapes made anew with the recipe of this version",
        description="A tape keeps the recipe and the defaults with which it was begun. This command gives it those of "
        "this version of Tapemill; the next run makes anew what comes out differently. Nothing is made by the command.",
    )
    parser.add_argument("tapes", metavar="TAPE", nargs="*", help="id of a tape of the sheet")
    parser.add_argument("--all", action="store_true", help="all tapes of the sheet that an older recipe made")
    parser.set_defaults(command=_command)


def _command(options: argparse.Namespace) -> int:
    settings = load_settings(config(), own_config())
    if bool(options.tapes) == options.all:
        raise ConfigError("no tape is named", remedy="name tapes, or all with `--all`")
    run_lock.acquire(SNAKEMAKE_FOLDER)
    tapes = options.tapes or sorted({*settings.older_recipes(), *_faulty_tapes(settings)})
    renewed = sum(_renew(tape, settings) for tape in tapes)
    if renewed:
        sys.stdout.write("`tapemill run` makes them anew; `tapemill run show_plan` shows what that takes.\n")
    elif not options.tapes:
        sys.stdout.write("No tape has an older recipe.\n")
    return 0


def _faulty_tapes(settings: WorkflowSettings) -> Iterator[str]:
    """Tapes with a faulty row of which something was made: their recipe may be the fault."""
    return (fault.tape for fault in settings.faults if fault.tape and (RESULTS / fault.tape).is_dir())


def _renew(tape: str, settings: WorkflowSettings) -> bool:
    """Give a tape today's recipe, and print what differs. Returns whether anything does."""
    folder = RESULTS / tape
    if not folder.is_dir():
        raise ConfigError(f"there is no tape {tape!r} in {RESULTS}/", remedy="name a tape's id, in its working folder")
    try:
        recipe = recipe_of_tape(folder)
        differences = recipe.differences(recipe.complete(settings.own, settings.config), settings.config)
    except ConfigError as error:
        differences = [error.what]
    else:
        if recipe == todays_recipe():
            sys.stdout.write(f"{tape}: it has the recipe of this version\n")
            return False
    write_recipe(folder)
    sys.stdout.write(f"{tape}: {'; '.join(differences) or 'nothing comes out differently'}\n")
    return True
