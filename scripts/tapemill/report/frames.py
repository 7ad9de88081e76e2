"""Random access to single frames of a tape and of its capture, decoded in this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Final

import av.error
import numpy as np
from av import VideoFrame, VideoStream
from av.container import InputContainer
from av.filter import Graph

from tapemill.core.timing import round_half_up
from tapemill.media.capture_info import Crop, FieldOrder, SourceFileInfo
from tapemill.media.colour import Colour
from tapemill.media.probe import open_media

# How far before a frame decoding starts; None is the start of the file. As in `scenes.cut`: two seconds reach a key
# frame in nearly all captures.
SEEKS_BACK_S = (Fraction(0), Fraction(2), Fraction(20), None)
# Limit of frames decoded to reach one, for captures with very long groups of pictures.
MAX_DECODED_FRAMES = 1500
# PyAV's names of colour matrices; all others are BT.601.
MATRICES: Final = {"bt709": "ITU709", "smpte240m": "SMPTE240M", "fcc": "FCC", "bt2020nc": "BT2020"}
# Beyond the black that a scene may begin with.
THUMBNAIL_FRAMES = 60


class TapeReader:
    """Reader of the finished tape: frames by number. A context manager."""

    def __init__(self, path: Path, rate: Fraction, colour: Colour) -> None:
        self._container = open_media(path)
        self._stream = self._container.streams.video[0]
        self._rate = rate
        self._colour = colour

    def __enter__(self) -> TapeReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    def frame(self, number: int) -> np.ndarray | None:
        """The frame of this number, BGR, shape (height, width, 3), uint8; None if it cannot be decoded."""
        frames = _decoded(self._container, self._stream, number / self._rate)
        time_s = (number - Fraction(1, 2)) / self._rate
        found = next((frame for frame in frames if _time_s(frame) >= time_s), None)
        return None if found is None else _bgr(found, self._colour)

    def thumbnail_frame(self, start: int, stop: int) -> np.ndarray | None:
        """A frame within [start, stop) that is decoded quickly: some frames after a key frame. As `frame`."""
        middle_s = (start + stop) // 2 / self._rate
        last = None
        for number, frame in enumerate(_decoded(self._container, self._stream, middle_s)):
            if _time_s(frame) >= (start - Fraction(1, 2)) / self._rate:
                last = frame
            if last is not None and (number >= THUMBNAIL_FRAMES or _time_s(frame) >= middle_s):
                break
        return None if last is None else _bgr(last, self._colour)


class CaptureReader:
    """Reader of one source file of the capture: frames by their index in the CFR timeline. A context manager."""

    def __init__(
        self, path: Path, take: SourceFileInfo, colour: Colour, rotation_deg: int, cut_out: Crop | None = None
    ) -> None:
        self._container = open_media(path)
        self._stream = next(each for each in self._container.streams.video if each.index == take.stream_index)
        self._take = take
        self._colour = colour
        self._turns = -rotation_deg // 90
        self._cut_out = cut_out

    def __enter__(self) -> CaptureReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    def frame(self, number: int) -> tuple[VideoFrame, VideoFrame, VideoFrame] | None:
        """The frame shown at an index of the CFR timeline, between its neighbours; None if it cannot be decoded."""
        take = self._take
        for back_s in SEEKS_BACK_S:
            at_s = None if back_s is None else take.start_s + (number - 1) / take.rate - back_s
            before: list[VideoFrame] = []
            for frame in _decoded(self._container, self._stream, at_s):
                if self._frame_index(frame) > number:
                    if before:
                        return before[0], before[-1], frame
                    # The seek landed after the frame.
                    break
                before = [*before[-1:], frame]
            else:
                # The last frame of the file replaces those that are missing after it.
                if before and number - self._frame_index(before[-1]) <= take.rate:
                    return before[0], before[-1], before[-1]
        return None

    def upright(self, image: np.ndarray) -> np.ndarray:
        """Rotate an image as a player does, and crop it to what a cut has."""
        return cropped(np.rot90(image, self._turns), self._cut_out)

    def deinterlaced(self, frames: tuple[VideoFrame, VideoFrame, VideoFrame], order: FieldOrder) -> np.ndarray:
        """Deinterlace a frame, given between its neighbours: its first field, filled in by bwdif; BGR, upright."""
        _, frame, _ = frames
        if order != "progressive":
            frame = _bwdif(frames, order)
        return self.upright(_bgr(frame, self._colour))

    def _frame_index(self, frame: VideoFrame) -> int:
        take = self._take
        step = (int(frame.pts or 0) - take.start_pts) * take.time_base * take.rate
        return int((2 * step + 1) // 2)


def cropped(image: np.ndarray, crop: Crop | None) -> np.ndarray:
    """Return a copy of part of an image."""
    if crop:
        image = image[crop.top : crop.top + crop.height, crop.left : crop.left + crop.width]
    return np.ascontiguousarray(image)


def grey(frame: VideoFrame) -> np.ndarray:
    """Luma as stored, in 8 bits, shape (height, width)."""
    return frame.reformat(format="gray").to_ndarray()


def _decoded(container: InputContainer, stream: VideoStream, at_s: Fraction | None) -> Iterator[VideoFrame]:
    """Decode frames from the key frame before a time of the file on; frames that fail are skipped."""
    base = Fraction(stream.time_base or Fraction(1, 1000))
    target = round_half_up(at_s / base) if at_s is not None else -(2**62)
    with suppress(av.error.FFmpegError):
        container.seek(max(target, -(2**62)), stream=stream, backward=True)
    decoded = 0
    with suppress(av.error.FFmpegError):
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                continue
            for frame in frames:
                if frame.pts is not None:
                    yield frame
                    decoded += 1
            if decoded >= MAX_DECODED_FRAMES:
                return


def _time_s(frame: VideoFrame) -> Fraction:
    return int(frame.pts or 0) * Fraction(frame.time_base or 1)


def _bwdif(frames: tuple[VideoFrame, VideoFrame, VideoFrame], order: FieldOrder) -> VideoFrame:
    middle = frames[1]
    graph = Graph()
    source = graph.add_buffer(width=middle.width, height=middle.height, format=middle.format, time_base=Fraction(1, 25))
    bwdif = graph.add("bwdif", f"mode=send_frame:parity={order}:deint=all")
    graph.link_nodes(source, bwdif, graph.add("buffersink")).configure()
    filtered: list[VideoFrame] = []
    # The graph needs a different time for each of the three, also where one frame is given twice.
    for number, source_frame in enumerate([*frames, None]):
        frame = source_frame and source_frame.reformat(
            format=middle.format.name, width=middle.width, height=middle.height
        )
        if frame is not None:
            frame.pts, frame.time_base = number, Fraction(1, 25)
        graph.vpush(frame)
        with suppress(av.error.BlockingIOError, av.error.EOFError):
            while True:
                filtered.append(graph.vpull())
    return filtered[1]


def _bgr(frame: VideoFrame, colour: Colour) -> np.ndarray:
    matrix = MATRICES.get(colour.matrix, "ITU601")
    converted = frame.reformat(
        format="bgr24",
        src_colorspace=matrix,
        src_color_range="JPEG" if colour.range == "pc" else "MPEG",
        interpolation="LANCZOS",
    )
    return converted.to_ndarray()
