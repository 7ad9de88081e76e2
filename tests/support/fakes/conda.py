"""A stand-in for the program conda, as much of it as Snakemake 9.27.1 asks for (deployment/conda.py).

An environment is a Python of its own that sees the packages of this one, and keeps a list of what was started in it. No
channel can be reached where the tests run; what a real conda would put into it is compared in test_environments.py.
"""

import os
import sys
import sysconfig
from pathlib import Path

CONDA = """
import json, shutil, sys, venv; from pathlib import Path
words = sys.argv[1:]
if words == ["info", "--json"]:
    print(json.dumps({{"conda_prefix": {prefix!r}, "platform": "linux-64"}}))
elif words == ["--version"]:
    print("conda 24.11.0")
elif words[:1] == ["config"]:
    print(json.dumps({{"get": {{"channel_priority": "strict"}}}}))
elif words[:1] != ["clean"]:
    assert words[:2] == ["env", "create"], words
    place = Path(words[words.index("--prefix") + 1])
    venv.create(place, symlinks=True)
    shutil.copy(words[words.index("--file") + 1], place / "made_from.yaml")
    (packages,) = place.glob("lib/python3*/site-packages")
    (packages / "all.pth").write_text({packages!r})
    (packages / "sitecustomize.py").write_text({watch!r})
"""
WATCH = """
import sys; from pathlib import Path
with (Path(sys.prefix) / "started").open("a") as stream:
    print(*sys.orig_argv[1:4], file=stream)
"""
ACTIVATE = 'export CONDA_PREFIX="$1" PATH="$1/bin:$PATH"\n'


def install(folder: Path) -> dict[str, str]:
    """Write the program into a folder and return the environment variables with which it is found."""
    programs = folder / "bin"
    programs.mkdir(parents=True)
    text = CONDA.format(prefix=str(folder), packages=sysconfig.get_path("purelib"), watch=WATCH)
    (programs / "conda").write_text(f"#!{sys.executable}\n{text}")
    (programs / "conda").chmod(0o755)
    (programs / "activate").write_text(ACTIVATE)
    return {"PATH": os.pathsep.join([str(programs), os.environ["PATH"]])}


def environments(folder: Path) -> dict[str, list[str]]:
    """Return the environments in a working folder: the name in the file, and the commands that were started there."""
    made = {}
    for file in (folder / ".snakemake" / "conda").glob("*/made_from.yaml"):
        (name,) = [line.removeprefix("name: ") for line in file.read_text().splitlines() if line.startswith("name: ")]
        made[name] = Path(file.parent, "started").read_text().splitlines()
    return made
