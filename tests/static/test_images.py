"""The recipes of the images install what `make setup` does, from the lock alone. Nothing is built here."""

import re
import shlex
import shutil
import subprocess
import tomllib

import pytest

from tapemill.doctor.packages import OLDEST_PYTHON
from tests.support.project import ROOT

DOCKERFILE = (ROOT / "containers" / "Dockerfile").read_text()
DEFINITION = (ROOT / "containers" / "tapemill.def").read_text()
PAGE = (ROOT / "docs" / "containers.md").read_text()
# Python of the releases of Debian, as packages.debian.org has them.
PYTHON_OF_DEBIAN = {"12": (3, 11), "13": (3, 13)}
DEVICES = ("cpu", "cuda", "xpu", "rocm")


def instructions():
    """Of the Dockerfile: (name, what it says), in order."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.MULTILINE).replace("\\\n", " ")
    return [tuple(line.split(maxsplit=1)) for line in text.splitlines() if line.strip()]


def section(name):
    """Lines of a section of Apptainer's file."""
    text = re.search(rf"^%{name}\n(.*?)(?=^%|\Z)", DEFINITION, re.MULTILINE | re.DOTALL)[1].replace("\\\n", " ")
    return [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]


def arguments():
    """What can be said when an image is built, with the defaults: of the Dockerfile, of Apptainer's file."""
    return (
        dict(said.split("=", 1) for name, said in instructions() if name == "ARG"),
        dict(line.split("=", 1) for line in section("arguments")),
    )


def commands(**said):
    """The shell commands of both recipes, with what is said filled in."""
    docker = [said for name, said in instructions() if name == "RUN"]
    steps = [step for run in docker for step in run.split(" && ")]
    filled = [{**defaults, **said} for defaults in arguments()]
    return (
        [re.sub(r"\$\{(\w+)\}", lambda found: filled[0][found[1]], step).strip() for step in steps],
        [re.sub(r"\{\{ (\w+) \}\}", lambda found: filled[1][found[1]], step) for step in section("post")],
    )


def copied():
    """Files that get into the image, by either recipe."""
    docker = [words.split() for name, words in instructions() if name == "COPY"]
    return {name for words in docker for name in words[:-1]}, {line.split()[0] for line in section("files")}


def setup_of(steps):
    (found,) = [step for step in steps if "make dependencies" in step]
    return found


def installed(steps):
    (found,) = [step for step in steps if "apt-get install" in step]
    words = shlex.split(found)
    return {word for word in words[words.index("install") + 1 :] if not word.startswith("-")}


def dry_run(command, folder):
    """What make would do in a folder with nothing but the files that are copied."""
    folder.mkdir()
    for name in copied()[0]:
        shutil.copy(ROOT / name, folder / name)
    done = subprocess.run(
        ["bash", "-c", command.replace("make ", "make --dry-run ", 1)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.replace(str(folder), "FOLDER")


def test_both_recipes_begin_with_the_same_exact_debian_whose_python_is_supported():
    docker, apptainer = arguments()
    assert docker == apptainer
    release = re.fullmatch(r"debian:(\d+)\.\d+-slim(?:@sha256:[0-9a-f]{64})?", docker["BASE"])
    assert PYTHON_OF_DEBIAN[release[1]] >= OLDEST_PYTHON
    assert ("FROM", "${BASE}") in instructions()
    assert DEFINITION.count("From: {{ BASE }}\n") == 1


@pytest.mark.parametrize("device", DEVICES)
def test_both_recipes_install_what_make_setup_installs_and_need_no_more_than_they_copy(tmp_path, device):
    said = {"DEVICE": device, "TORCH_INDEX": f"https://index.invalid/{device}"}
    usual = dry_run(
        "make dependencies " + " ".join(f"{name}={value}" for name, value in said.items()), tmp_path / "usual"
    )
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (torch,) = [wanted for wanted in project["dependencies"] if wanted.startswith("torch==")]
    assert f"--index-url {said['TORCH_INDEX']} {torch}\n" in usual
    assert "--no-deps -r requirements.lock" in usual
    for place, steps in zip(("docker", "apptainer"), commands(**said), strict=True):
        there = dry_run(setup_of(steps), tmp_path / place)
        assert "/opt/venv/bin/pip install" in there
        assert there.replace("/opt/venv", ".venv") == usual


def test_without_an_index_pip_uses_its_own_as_in_make_setup(tmp_path):
    usual = dry_run("make dependencies", tmp_path / "usual")
    for place, steps in zip(("docker", "apptainer"), commands(), strict=True):
        assert dry_run(setup_of(steps), tmp_path / place).replace("/opt/venv", ".venv") == usual


def test_what_is_copied_is_all_that_docker_gets_to_see():
    docker, apptainer = copied()
    assert docker == apptainer
    ignored = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert ignored[0] == "*"
    assert {line.removeprefix("!") for line in ignored[1:]} == docker
    assert all((ROOT / name).is_file() for name in docker)


def test_both_recipes_install_the_system_packages_that_the_readme_asks_for():
    docker, apptainer = map(installed, commands())
    # Apptainer's processes are the host's, whose init sees to them.
    assert docker - apptainer == {"tini"}
    assert apptainer == {"ca-certificates", "git", "make", "python3", "python3-venv"}
    assert "You need Linux, Python 3.11 or newer, make and git;" in (ROOT / "README.md").read_text()
    for more in map(installed, commands(RUNTIME="libze-intel-gpu1 libze1")):
        assert {"libze-intel-gpu1", "libze1"} <= more


def test_every_command_is_a_shell_s():
    for steps in commands(RUNTIME="some"):
        done = subprocess.run(["sh", "-n"], input="\n".join(steps), text=True, capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


def test_the_checkout_is_found_where_it_is_mounted_and_snakemake_is_what_runs():
    docker = dict(instructions())
    # The library is not installed in the image: it is run from the mount.
    assert docker["WORKDIR"] == "/tapemill"
    assert "cd /tapemill" in section("post")
    assert all(line.split()[1].startswith("/tapemill/") for line in section("files"))
    said = dict(word.split("=", 1) for name, words in instructions() if name == "ENV" for word in words.split())
    assert said["PATH"] == "/opt/venv/bin:${PATH}"
    assert said["PYTHONPATH"] == "/tapemill/scripts"
    assert "export PATH=/opt/venv/bin:$PATH" in section("environment")
    assert f"export PYTHONPATH={said['PYTHONPATH']}" in section("environment")
    assert docker["USER"] == "tapemill"
    assert docker["ENTRYPOINT"] == '["tini", "--", "snakemake"]'
    assert section("runscript") == ['exec snakemake "$@"']


def test_the_page_says_nothing_that_the_recipes_do_not_know():
    docker, _ = arguments()
    assert set(re.findall(r"--build-arg (\w+)=", PAGE)) == set(docker)
    for name in re.findall(r"containers/[\w.]+|\benvs/[\w.]+", PAGE):
        assert (ROOT / name.rstrip(".")).exists(), name
