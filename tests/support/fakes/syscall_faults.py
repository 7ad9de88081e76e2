"""A kernel that answers some system calls by itself: file systems that cannot be mounted here, as programs see them.

A filter of seccomp(2) ends a call before any file system hears of it, with an error, or with 0 as if it had been done.
It holds for the process and for all that it starts; who gives up gaining rights may set one.

    python tests/kernel.py flock=0 fsync=EINVAL -- COMMAND...
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys
from collections.abc import Mapping

# x86_64 (asm/unistd_64.h); linux/filter.h, linux/seccomp.h, linux/prctl.h.
CALLS = {"flock": 73, "fsync": 74, "rename": 82, "utimensat": 280}
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, ANSWER = 0x7FFF0000, 0x00050000
NO_NEW_PRIVS, SET_SECCOMP, BY_FILTER = 38, 22, 2


def refuse(answers: Mapping[str, int]) -> None:
    """Answer these calls from now on. `answers` has an error number for each name, 0 for success."""
    program = [(LOAD, 0, 0, 0)]
    for name, number in answers.items():
        program += [(JUMP_IF_EQUAL, 0, 1, CALLS[name]), (RETURN, 0, 0, ANSWER | number)]
    program.append((RETURN, 0, 0, ALLOW))
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in program))
    head = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    for arguments in ((NO_NEW_PRIVS, 1, 0, 0, 0), (SET_SECCOMP, BY_FILTER, ctypes.addressof(head), 0, 0)):
        if libc.prctl(*map(ctypes.c_ulong, arguments)):
            raise OSError(ctypes.get_errno(), "prctl")


if __name__ == "__main__":
    split = sys.argv.index("--")
    pairs = [word.split("=") for word in sys.argv[1:split]]
    refuse({name: int(getattr(errno, said, said)) for name, said in pairs})
    os.execvp(sys.argv[split + 1], sys.argv[split + 1 :])
