"""Raw frames between ffmpeg and networks: planes G, B, R of 16 bits on one side, RGB in [0, 1] on the other.

Decoding, networks and encoding overlap: a thread reads ahead, another writes behind, both by a few frames only.
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

LARGEST = 65535
# Frames under way on either side of the networks.
AHEAD = 4
_END: Any = object()
REDO = "delete the cut scene and run again; if it fails again, the capture is damaged there"


def read_frames(stream: IO[bytes], width: int, height: int, count: int, device: torch.device) -> Iterator[Tensor]:
    """Frames of a stream as tensors (3, height, width), float32, R G B. Raises GateError unless there are `count`."""
    size = 3 * height * width * 2
    for number in range(count):
        data = stream.read(size)
        if len(data) != size:
            raise GateError(f"the filters before the networks made {number} frames, not {count}", remedy=REDO)
        yield _to_tensor(data, width, height, device)
    if stream.read(1):
        raise GateError(f"the filters before the networks made more than {count} frames", remedy=REDO)


def _to_tensor(data: bytes, width: int, height: int, device: torch.device) -> Tensor:
    import torch

    # Few devices know unsigned numbers of 16 bits: they travel as signed ones, and the upper half comes out negative.
    planes = torch.from_numpy(np.frombuffer(data, "<i2").reshape(3, height, width).copy())
    if device.type != "cpu":
        planes = planes.pin_memory().to(device, non_blocking=True)
    values = planes[[2, 0, 1]].float()
    return values.add_(65536 * (values < 0)).div_(LARGEST)


def write_frame(frame: Tensor, stream: IO[bytes]) -> None:
    """Write a frame (3, height, width), RGB; what is outside [0, 1] is cut off."""
    import torch

    values = frame.float().clamp(0, 1).mul(LARGEST).round_()
    planes = values.sub_(65536 * (values > 32767))[[1, 2, 0]].to(torch.int16)
    stream.write(planes.cpu().numpy().tobytes())


def prefetch(items: Iterator[T]) -> Iterator[T]:
    """The same items, made in a thread that is a few of them ahead."""
    with ThreadPoolExecutor(1) as pool:
        coming = deque(pool.submit(next, items, _END) for _ in range(AHEAD))
        while (item := coming.popleft().result()) is not _END:
            coming.append(pool.submit(next, items, _END))
            yield item


def write_all(frames: Iterable[Tensor], stream: IO[bytes]) -> int:
    """Write frames in a thread that is a few of them behind; returns their number. Raises what writing raises."""
    number = 0
    with ThreadPoolExecutor(1) as pool:
        going: deque[Future[None]] = deque()
        for frame in frames:
            going.append(pool.submit(write_frame, frame, stream))
            number += 1
            if len(going) > AHEAD:
                going.popleft().result()
        for write in going:
            write.result()
    return number
