"""A program in the place of ffmpeg that goes wrong on cue. It is what the setting `ffmpeg` may name by mistake."""

import os
import sys
from pathlib import Path

# What it does: run as a program by itself, so nothing but the standard library. REAL is ffmpeg, KIND the cue, and ONLY,
# if not empty, a word of the arguments without which all goes well.
PROGRAM = """#!{python}
import os, re, signal, subprocess, sys, time

REAL, KIND, ONLY = {real!r}, {kind!r}, {only!r}
words = sys.argv[1:]
if ONLY and not any(ONLY in word for word in words):
    os.execv(REAL, [REAL, *words])

output = words[-1]
muxer = len(words) - 3  # where "-f muxer target" begins


def write(data):
    if output == "pipe:1":
        sys.stdout.buffer.write(data)
    elif output.startswith("file:"):
        with open(output[5:], "wb") as stream:
            stream.write(data)


if KIND == "killed":
    os.kill(os.getpid(), signal.SIGTERM)
if KIND == "hangs":
    time.sleep(600)
if KIND == "garbage":
    write(os.urandom(300_000))
if KIND == "empty":
    write(b"")
if KIND == "half":
    words[muxer:muxer] = ["-t", "0.4"]
    os.execv(REAL, [REAL, *words])
if KIND == "blank":
    for place, word in enumerate(words[:-1]):
        if word in ("-vf", "-filter:v"):
            words[place + 1] += ",drawbox=color=black:t=fill"
    if "-vf" not in words and "-filter:v" not in words:
        words[muxer:muxer] = ["-filter:a:0", "volume=0"]
    os.execv(REAL, [REAL, *words])
if KIND == "endless":
    with open(output[5:], "wb") as stream:
        while True:
            stream.write(bytes(1_000_000))
            stream.flush()
if KIND == "disk error":
    sys.stderr.write("[out#0/matroska @ 0x5] Error writing trailer: Input/output error\\n")
    sys.exit(251)
if KIND == "short list":
    # What it does when the list of `-stats_enc_pre` cannot be written: nothing.
    code = subprocess.run([REAL, *words]).returncode
    if "-stats_enc_pre:v" in words:
        os.truncate(words[words.index("-stats_enc_pre:v") + 1][5:], 100)
    sys.exit(code)
if KIND == "leaves a child":
    if os.fork() == 0:
        time.sleep(600)
    sys.exit(subprocess.run([REAL, *words]).returncode)
sys.exit(0)
"""


def program(path: Path, real: str, kind: str, only: str = "") -> Path:
    """Write a stand-in for ffmpeg at `path`. It does wrong only in runs with `only` somewhere in their arguments."""
    if kind == "missing":
        return path
    path.write_text(PROGRAM.format(python=sys.executable, real=real, kind=kind, only=only))
    path.chmod(0o644 if kind == "not executable" else 0o755)
    assert kind == "not executable" or os.access(path, os.X_OK)
    return path
