"""A real Slurm on this machine alone: one node with two graphics cards that are none. Needs root, and Debian.

    python tests/slurm/onenode.py                        until Ctrl-C
    python tests/slurm/onenode.py squeue --long          while a command runs

Slurm finds its configuration in /etc/slurm (SLURM_CONF does not reach what a job starts); everything else lies in a
temporary folder, with a munged and a key of its own, and all daemons listen on 127.0.0.1 alone. A configuration in
/etc/slurm that was not written here is left alone, and nothing is started then. One Slurm at a time: a second one
waits for the first.
"""

from __future__ import annotations

import fcntl
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

CONFIGURATION = Path("/etc/slurm")
SIGNATURE = "# Written by Tapemill's tests (tests/slurm/onenode.py), and removed when they end. Daemons: "
LOCK = Path("/run/lock/tapemill-test-slurm.lock")
PACKAGES = {"slurmctld": "slurmctld", "slurmd": "slurmd", "squeue": "slurm-client", "munged": "munge"}
"""Programs, and the packages of Debian that bring them: slurm-wlm without its manual."""
FOLDER = "TAPEMILL_TEST_SLURM"
"""In the environment of daemons and Slurm's keepers of jobs; what a job starts has SLURM_CLUSTER_NAME there instead."""
NODE = "onenode"
CARDS = ("/dev/null", "/dev/zero")
"""Files of the cards: Slurm wants to see that they exist, and hands out their numbers."""
CPUS = 4
START_S = 20.0
DIARY = """#!/bin/sh
echo "$SLURM_JOB_ID ${{SLURM_JOB_GPUS:--}} $(date +%s.%N)" >> {file}
"""
"""What Slurm runs before the first process of a job, and after its last."""


class NotHere(Exception):
    """Slurm cannot be brought up on this machine, or must not be."""


@dataclass(frozen=True)
class Stay:
    """A job on the node."""

    job: str
    card: str
    """Number of the card that Slurm gave it; - for none."""
    began_s: float
    ended_s: float


class Slurm:
    """A Slurm that is up."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str) -> None:
        """Start `munged`, `slurmctld` or `slurmd`, and wait until it answers."""
        command, answers = {
            "munged": (
                ["munged", "--foreground", *_munge_files(self.folder)],
                ["munge", "-S", _socket(self.folder), "-n"],
            ),
            "slurmctld": (["slurmctld", "-D"], ["scontrol", "ping"]),
            "slurmd": (["slurmd", "-D"], ["sinfo", "--noheader", "--format=%T"]),
        }[name]
        with (self.folder / f"{name}.out").open("ab") as log:
            daemon = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # What a signal to the terminal or a run's end does is not to reach it.
                start_new_session=True,
                env=os.environ | {FOLDER: str(self.folder)},
            )
        self._daemons[name] = daemon

        def up() -> bool:
            if daemon.poll() is not None:
                raise NotHere(f"{name} ended with {daemon.returncode}: {self.log(name)}")
            said = subprocess.run(answers, capture_output=True, text=True, check=False)
            if name == "slurmd":
                return said.stdout.split() != [] and set(said.stdout.split()) <= {"idle", "mixed", "allocated"}
            return said.returncode == 0

        _wait(up, START_S, lambda: f"{name} does not answer: {self.log(name)}")

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """End a daemon; what it has started goes on."""
        daemon = self._daemons.pop(name)
        daemon.send_signal(number)
        daemon.wait()

    def die(self) -> None:
        """Let the node go down at once with all that runs on it, as if its plug were pulled."""
        self.kill("slurmd")
        _kill_all(self.folder, but=[daemon.pid for daemon in self._daemons.values()])

    def jobs(self, states: str = "all") -> list[dict[str, str]]:
        """Jobs that Slurm knows, or those in some states.

        `id`; `state`; `name`, that of the run; `comment`, with the rule; `mb` and `limit`, what it asked for.
        """
        keys = {"id": "%A", "state": "%T", "name": "%j", "comment": "%k", "mb": "%m", "limit": "%l"}
        said = self.ask("squeue", "--noheader", f"--states={states}", f"--format={'|'.join(keys.values())}")
        return [dict(zip(keys, line.split("|"), strict=True)) for line in said.splitlines()]

    def stays(self) -> list[Stay]:
        """Jobs that were on the node and have left it; of one that was there twice the last time."""
        began, ended = ((self.folder / name).read_text().splitlines() for name in ("began", "ended"))
        ends = {line.split()[0]: float(line.split()[2]) for line in ended}
        stays = {job: (card, float(time_s)) for job, card, time_s in map(str.split, began) if job in ends}
        return [Stay(job, card, began_s, ends[job]) for job, (card, began_s) in stays.items()]

    def ask(self, *command: str) -> str:
        """What a program of Slurm says."""
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def log(self, name: str) -> str:
        """The last lines that a daemon wrote."""
        texts = [path.read_text(errors="replace") for path in sorted(self.folder.glob(f"{name}.[lo]*"))]
        return "\n".join("".join(texts).splitlines()[-20:])

    def stop(self) -> None:
        """End everything: jobs, daemons, and what they have left."""
        if "slurmctld" in self._daemons:
            with suppress(subprocess.SubprocessError):
                subprocess.run(["scancel", "--full", "--signal=KILL", f"--nodelist={NODE}"], timeout=20, check=False)
        for name in reversed(list(self._daemons)):
            self.kill(name)
        _kill_all(self.folder)


@contextmanager
def one_node() -> Iterator[Slurm]:
    """Bring Slurm up for as long as the block lasts. Raises NotHere."""
    reason = why_not()
    if reason:
        raise NotHere(reason)
    with ExitStack() as stack:
        lock = stack.enter_context(LOCK.open("w"))
        fcntl.flock(lock, fcntl.LOCK_EX)
        _clear_up()
        _install()
        folder = Path(tempfile.mkdtemp(prefix="tapemill-slurm-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        # munged insists that everybody can reach its socket.
        folder.chmod(0o755)
        slurm = Slurm(folder)
        stack.callback(_clear_up)
        _configure(folder)
        stack.callback(slurm.stop)
        for name in ("munged", "slurmctld", "slurmd"):
            slurm.start(name)
        yield slurm


def why_not() -> str | None:
    """Why Slurm cannot be brought up here; None if it can."""
    if os.geteuid() != 0:
        return "only root may start Slurm's daemons"
    if not all(map(shutil.which, PACKAGES)) and not shutil.which("apt-get"):
        return f"{', '.join(program for program in PACKAGES if not shutil.which(program))} missing, and no apt-get"
    if "SLURM_CONF" in os.environ:
        return f"this machine has a Slurm: SLURM_CONF is {os.environ['SLURM_CONF']}"
    found = CONFIGURATION / "slurm.conf"
    if found.exists() and not found.read_text(errors="replace").startswith(SIGNATURE):
        return f"this machine has a Slurm: {found}"
    return None


def _install() -> None:
    missing = {package for program, package in PACKAGES.items() if not shutil.which(program)}
    if not missing:
        return
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["apt-get", "update"],
        ["apt-get", "install", "--yes", "--no-install-recommends", *sorted(missing)],
    ):
        done = subprocess.run(command, env=quiet, capture_output=True, text=True, check=False)
        if done.returncode:
            raise NotHere(f"{shlex.join(command)} ended with {done.returncode}: {done.stderr.strip()[-500:]}")


def _configure(folder: Path) -> None:
    host = socket.gethostname().partition(".")[0]
    control_port, node_port = _free_ports(2)
    for name in ("state", "spool"):
        (folder / name).mkdir()
    for name in ("began", "ended"):
        (folder / name).touch()
        (folder / f"{name}.sh").write_text(DIARY.format(file=folder / name))
        (folder / f"{name}.sh").chmod(0o755)
    (folder / "munge.key").write_bytes(os.urandom(128))
    (folder / "munge.key").chmod(0o600)
    settings: dict[str, object] = {
        "ClusterName": folder.name,
        "SlurmctldHost": f"{host}(127.0.0.1)",
        "SlurmctldPort": control_port,
        "SlurmdPort": node_port,
        "SlurmUser": "root",
        "AuthInfo": f"socket={_socket(folder)}",
        "StateSaveLocation": folder / "state",
        "SlurmdSpoolDir": folder / "spool",
        "SlurmctldPidFile": folder / "slurmctld.pid",
        "SlurmdPidFile": folder / "slurmd.pid",
        "SlurmctldLogFile": folder / "slurmctld.log",
        "SlurmdLogFile": folder / "slurmd.log",
        "MailProg": "/bin/true",
        "ProctrackType": "proctrack/linuxproc",
        "TaskPlugin": "task/none",
        "JobAcctGatherType": "jobacct_gather/none",
        "AccountingStorageType": "accounting_storage/none",
        "SelectType": "select/cons_tres",
        "SelectTypeParameters": "CR_CPU_Memory",
        "SchedulerParameters": "batch_sched_delay=0,sched_interval=2,bf_interval=2",
        "GresTypes": "gpu",
        "Prolog": folder / "began.sh",
        "Epilog": folder / "ended.sh",
        # A node that was lost is used again once it answers.
        "ReturnToService": 2,
        # A cancelled job has so long to end before it is killed.
        "KillWait": 10,
        "CommunicationParameters": "NoInAddrAny,NoCtldInAddrAny",
        # The node may say more than the machine has: jobs ask for the memory of real scenes, and small ones run here.
        "SlurmdParameters": "config_overrides",
        "NodeName": f"{NODE} NodeHostname={host} NodeAddr=127.0.0.1 CPUs={CPUS} RealMemory=65536 Gres=gpu:{len(CARDS)}",
        "PreemptType": "preempt/partition_prio",
        "PreemptMode": "REQUEUE",
    }
    partitions = {
        "tapes": "Default=YES PriorityTier=1 PreemptMode=REQUEUE",
        "spot": "PriorityTier=1 PreemptMode=CANCEL",
        "urgent": "PriorityTier=2 PreemptMode=OFF",
    }
    cards = [f"NodeName={NODE} Name=gpu File={file}\n" for file in CARDS]
    CONFIGURATION.mkdir(exist_ok=True)
    _write(CONFIGURATION / "gres.conf", folder, cards)
    lines = [f"{key}={value}\n" for key, value in settings.items()]
    lines += [f"PartitionName={name} Nodes={NODE} State=UP {how}\n" for name, how in partitions.items()]
    _write(CONFIGURATION / "slurm.conf", folder, lines)


def _write(file: Path, folder: Path, lines: Iterable[str]) -> None:
    if file.exists():
        raise NotHere(f"this machine has a Slurm: {file}")
    file.write_text("".join([SIGNATURE, f"{folder}\n", *lines]))


def _clear_up() -> None:
    """Remove the configuration, and what it says was started by a process that could not end it any more."""
    for file in (CONFIGURATION / "slurm.conf", CONFIGURATION / "gres.conf"):
        text = file.read_text(errors="replace") if file.exists() else ""
        if text.startswith(SIGNATURE):
            folder = Path(text.partition("\n")[0].removeprefix(SIGNATURE))
            _kill_all(folder)
            shutil.rmtree(folder, ignore_errors=True)
            file.unlink()


def _kill_all(folder: Path, but: Iterable[int] = ()) -> None:
    """Kill all processes that a cluster has started, known by their environment, again and again until none is left.

    `but` are spared, and their children.
    """
    marks = {f"{FOLDER}={folder}".encode(), f"SLURM_CLUSTER_NAME={folder.name}".encode()}
    spared = set(but)

    def gone() -> bool:
        found = {int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()} - {os.getpid(), *spared}
        found = {pid for pid in found if _parent(pid) not in spared}
        marked = [pid for pid in found if not marks.isdisjoint(_environ(pid))]
        for pid in marked:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not marked

    _wait(gone, START_S, lambda: f"processes of {folder} cannot be killed")


def _parent(pid: int) -> int:
    try:
        # The name, in brackets before it, may hold anything.
        return int(Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _environ(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _socket(folder: Path) -> str:
    return str(folder / "munge.socket")


def _munge_files(folder: Path) -> list[str]:
    named: Mapping[str, str] = {"key": "key", "log": "log", "pid": "pid", "seed": "seed"}
    files = [f"--{option}-file={folder}/munge.{ending}" for option, ending in named.items()]
    return [*files, f"--socket={_socket(folder)}"]


def _wait(condition: Callable[[], bool], seconds: float, told: Callable[[], str]) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise NotHere(told())
        time.sleep(0.2)


def main(command: list[str]) -> int:
    """Bring Slurm up while a command runs, or until a signal."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with one_node() as slurm:
            if command:
                return subprocess.run(command, check=False).returncode
            print(f"Slurm is up; its files are in {slurm.folder}. Ctrl-C ends it.", flush=True)  # noqa: T201
            signal.pause()
    except KeyboardInterrupt:
        return 130
    except NotHere as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
