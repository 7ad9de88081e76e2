"""Resumable download of one file."""

from __future__ import annotations

import hashlib
import http.client
import logging
import os
import re
import time
import urllib.error
import urllib.request
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from tapemill.core.errors import ModelError
from tapemill.storage import disk_space

LOG = logging.getLogger("tapemill.models")

CHUNK_BYTES = 1 << 20
TIMEOUT_S = 30
ATTEMPTS = 5
# Pause before another attempt, in seconds, doubled each time.
PAUSE_S = 1.0
# A connection that brings less than this in this time counts as broken.
SLOWEST_BYTES: Final = 16 << 10
SLOWEST_S = 60.0
# The largest Whisper has 3 GB. More than this is no model, whatever the server states.
LARGEST_BYTES: Final = 64 << 30


class InvalidAnswer(http.client.HTTPException):
    """An answer that no further attempt will improve."""


def download(url: str, partial: Path, target: Path) -> str:
    """Fetch a file into `partial` and return its SHA-256, resuming after breaks, also those of earlier runs.

    `target` is its final path, for messages. Raises ModelError if it cannot be fetched, DiskFull if the disk has too
    little space for it.
    """
    if not _is_allowed(url):
        raise ModelError(
            f"models are fetched by https only, not from {url}",
            file=target,
            remedy="correct the address in config/models.yaml, or download the file elsewhere and put it here",
        )
    partial.parent.mkdir(parents=True, exist_ok=True)
    for attempt in range(ATTEMPTS):
        try:
            return _continue(url, partial)
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, OSError) and (disk_error := disk_space.from_os_error(error, partial)):
                raise disk_error from error
            refused = isinstance(error, InvalidAnswer) or (
                isinstance(error, urllib.error.HTTPError) and error.code < 500
            )
            if refused or attempt == ATTEMPTS - 1:
                raise ModelError(
                    f"the model could not be fetched from {url}: {error}",
                    file=target,
                    remedy="see that this machine reaches the address, then run `snakemake fetch_models` again: it "
                    "goes on where it stopped; or download the file elsewhere and put it here",
                ) from error
            LOG.warning("the download was interrupted (%s), resuming in a moment", error)
            time.sleep(PAUSE_S * 2**attempt)
    raise AssertionError("the last attempt returns or raises")


def _is_allowed(url: str) -> bool:
    """Whether an address is of https, or of a server on this machine."""
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname or ""))


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follow redirects to allowed addresses only; urllib would follow them to http and ftp as well."""

    def redirect_request(self, req: urllib.request.Request, *rest: Any) -> urllib.request.Request | None:
        """Return the request of the new address, the last of `rest`. Raises InvalidAnswer if it is not allowed."""
        address = str(rest[-1])
        if not _is_allowed(address):
            raise InvalidAnswer(f"it redirects to {address}, and models are fetched by https only")
        return super().redirect_request(req, *rest)


def _opener() -> urllib.request.OpenerDirector:
    """Return an opener that knows http and https, and no other scheme."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _Redirects(),
    ):
        opener.add_handler(handler)
    return opener


def _continue(url: str, partial: Path) -> str:
    """Fetch what `partial` lacks and return the SHA-256 of the whole. Raises OSError or HTTPException on a break."""
    digest = hashlib.sha256()
    have = 0
    if partial.exists():
        with partial.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256")
            have = stream.tell()
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})  # noqa: S310
    try:
        answer = _opener().open(request, timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            return _nothing_left(error, partial, have, digest.hexdigest())
        raise
    with answer:
        if answer.status == http.client.PARTIAL_CONTENT:
            _check_range(answer.headers.get("Content-Range", ""), have, partial)
        else:
            digest, have = hashlib.sha256(), 0
        left = _length(answer.headers.get("Content-Length"))
        disk_space.require(partial.parent, left or 0, reserve_bytes=0, what="the model")
        with partial.open("r+b" if have else "wb") as stream:
            stream.seek(have)
            written = 0
            progress = _MinimumSpeed()
            # read1 hands over what has arrived; read would lose it when the connection breaks.
            while chunk := answer.read1(CHUNK_BYTES):
                stream.write(chunk)
                digest.update(chunk)
                written += len(chunk)
                progress.check(written)
                if have + written > LARGEST_BYTES:
                    raise InvalidAnswer(f"it is larger than {disk_space.format_size(LARGEST_BYTES)}")
            stream.flush()
            os.fsync(stream.fileno())
    if left is not None and written < left:
        raise http.client.IncompleteRead(b"", left - written)
    return digest.hexdigest()


class _MinimumSpeed:
    """Watch over a connection that sends so little that it would never end."""

    def __init__(self) -> None:
        self._since_s, self._written = time.monotonic(), 0

    def check(self, written: int) -> None:
        """Note the bytes written so far. Raises ConnectionError if the last ones came too slowly."""
        now_s = time.monotonic()
        if now_s - self._since_s < SLOWEST_S:
            return
        if written - self._written < SLOWEST_BYTES:
            raise ConnectionError(f"{written - self._written} bytes arrived in {now_s - self._since_s:.0f} s")
        self._since_s, self._written = now_s, written


def _length(header: str | None) -> int | None:
    """Parse the header Content-Length, None without one. Raises InvalidAnswer for anything but a plausible number."""
    if header is None:
        return None
    if not re.fullmatch(r"[0-9]{1,18}", header.strip()):
        raise InvalidAnswer(f"the server states the length {header[:40]!r}")
    if int(header) > LARGEST_BYTES:
        raise InvalidAnswer(f"the server states the length {disk_space.format_size(int(header))}, too much for a model")
    return int(header)


def _check_range(header: str, have: int, partial: Path) -> None:
    """Check that a part of the file begins where `partial` ends. Raises ConnectionError, and removes `partial`."""
    found = re.fullmatch(r"bytes (\d{1,18})-\d+/(?:\d+|\*)", header.strip())
    if found and int(found[1]) == have:
        return
    error = f"the server sent the part {header[:60]!r}, asked for was what follows byte {have}"
    if not have:
        raise InvalidAnswer(error)
    # From the beginning, without asking for a part.
    partial.unlink()
    raise ConnectionError(error)


def _nothing_left(error: urllib.error.HTTPError, partial: Path, have: int, sha256: str) -> str:
    """Handle HTTP 416 after the first `have` bytes: they are the whole file, or too many."""
    length = re.fullmatch(r"bytes \*/(\d+)", error.headers.get("Content-Range", ""))
    if length and int(length[1]) != have:
        partial.unlink()
        raise ConnectionError(f"{have} bytes were here, the file has {length[1]}: it is another one now") from error
    return sha256
