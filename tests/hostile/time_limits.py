"""What a test watches while hostile input is at work: files opened, connections made, an end that never comes."""

from __future__ import annotations

import ctypes
import faulthandler
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

IN_ACCESS, IN_OPEN = 0x1, 0x20
NONBLOCKING = os.O_NONBLOCK
EVENT = struct.Struct("iIII")
_libc = ctypes.CDLL(None, use_errno=True)


@contextmanager
def opened_files(folder: Path) -> Iterator[list[str]]:
    """Yield a list that holds, after the block, the names of files of the folder that were opened in it.

    Told by the kernel (inotify(7)), so that no open goes unnoticed.
    """
    descriptor = _libc.inotify_init1(NONBLOCKING)
    assert descriptor >= 0
    found: list[str] = []
    try:
        assert _libc.inotify_add_watch(descriptor, os.fsencode(folder), IN_ACCESS | IN_OPEN) >= 0
        yield found
        data = _read(descriptor)
        while data:
            _, _, _, length = EVENT.unpack_from(data)
            name = data[EVENT.size : EVENT.size + length].rstrip(b"\0")
            # Listing the folder opens the folder itself.
            if name:
                found.append(os.fsdecode(name))
            data = data[EVENT.size + length :]
    finally:
        os.close(descriptor)


def _read(descriptor: int) -> bytes:
    data = b""
    while True:
        try:
            data += os.read(descriptor, 1 << 16)
        except BlockingIOError:
            return data


@contextmanager
def lonely_server() -> Iterator[str]:
    """Yield the address of a server on this machine to which, by the end of the block, nobody may have connected."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield f"127.0.0.1:{server.getsockname()[1]}"
        try:
            server.accept()
        except BlockingIOError:
            return
        raise AssertionError("somebody connected")


@contextmanager
def must_end(limit_s: float = 300) -> Iterator[None]:
    """End the process, with a traceback, if the block hangs. Signals would not reach a regular expression at work."""
    faulthandler.dump_traceback_later(limit_s, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
