"""Raw frames between ffmpeg and networks: planes G, B, R of 16 bits on one side, RGB in [0, 1] on the other.

Decoding, networks and encoding overlap: one thread prefetches, another writes, each with a buffer of a few frames.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import IO, TYPE_CHECKING, Any, TypeVar

import numpy as np

from tapemill.core.errors import GateError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

T = TypeVar("T")

MAX_VALUE = 65535
# Buffered frames on either side of the networks.
BUFFER_FRAMES = 4
_END: Any = object()
REMEDY = "delete the cut scene and run again; if it fails again, the capture is damaged there"


def read_frames(stream: IO[bytes], width: int, height: int, count: int, device: torch.device) -> Iterator[Tensor]:
    """Read frames of a stream: tensors (3, height, width), float32, RGB. Raises GateError unless there are `count`."""
    size = 3 * height * width * 2
    for number in range(count):
        data = stream.read(size)
        if len(data) != size:
            raise GateError(f"the filters before the networks made {number} frames, not {count}", remedy=REMEDY)
        yield _to_tensor(data, width, height, device)
    if stream.read(1):
        raise GateError(f"the filters before the networks made more than {count} frames", remedy=REMEDY)


def _to_tensor(data: bytes, width: int, height: int, device: torch.device) -> Tensor:
    import torch

    # Few devices have unsigned 16-bit integers: they are sent as signed ones, and the upper half becomes negative.
    planes = torch.from_numpy(np.frombuffer(data, "<i2").reshape(3, height, width).copy())
    if device.type != "cpu":
        planes = planes.pin_memory().to(device, non_blocking=True)
    values = planes[[2, 0, 1]].float()
    return values.add_(65536 * (values < 0)).div_(MAX_VALUE)


def write_frame(frame: Tensor, stream: IO[bytes]) -> None:
    """Write a frame (3, height, width), RGB, clipped to [0, 1]."""
    import torch

    values = frame.float().clamp(0, 1).mul(MAX_VALUE).round_()
    planes = values.sub_(65536 * (values > 32767))[[1, 2, 0]].to(torch.int16)
    stream.write(planes.cpu().numpy().tobytes())


def prefetch(items: Iterator[T]) -> Iterator[T]:
    """Yield the same items, prefetched in a thread."""
    with ThreadPoolExecutor(1) as pool:
        pending = deque(pool.submit(next, items, _END) for _ in range(BUFFER_FRAMES))
        while (item := pending.popleft().result()) is not _END:
            pending.append(pool.submit(next, items, _END))
            yield item


def write_all(frames: Iterable[Tensor], stream: IO[bytes]) -> int:
    """Write frames in a thread, and return their number. Raises the errors of writing."""
    number = 0
    with ThreadPoolExecutor(1) as pool:
        pending: deque[Future[None]] = deque()
        for frame in frames:
            pending.append(pool.submit(write_frame, frame, stream))
            number += 1
            if len(pending) > BUFFER_FRAMES:
                pending.popleft().result()
        for write in pending:
            write.result()
    return number
