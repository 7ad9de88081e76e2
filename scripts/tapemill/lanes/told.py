"""What an attempt tells of its lane: which card does the work, and how much memory it took."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ..cardmemory import begin_watch, watched_bytes
from ..device import Device
from ..errors import DeviceError
from ..memory import mebibytes
from ..progress import tell


@contextmanager
def told(lane: str, device: Device, *, where: str, is_warm: bool) -> Iterator[None]:
    """Tell on what the block works, in the process that does it; at its end its peak of memory, also if it fails.

    `where` is that process, as the log calls it.
    """
    card = {"device": device.name, "device_uuid": device.uuid}
    tell(f"lane {lane}, {where}", lane=lane, is_warm=is_warm, **{key: value for key, value in card.items() if value})
    # No work fails for what is only told of it; and a card that failed does not answer.
    with suppress(RuntimeError, DeviceError, OSError):
        begin_watch(device)
    try:
        yield
    finally:
        with suppress(RuntimeError, DeviceError, OSError):
            taken = watched_bytes(device)
            tell(f"at most {mebibytes(taken)} of memory", peak_memory_bytes=taken)
