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
from pathlib import Path
from urllib.parse import urlsplit

from tapemill.core.errors import ModelError
from tapemill.storage import disk_space

LOG = logging.getLogger("tapemill.models")

CHUNK_BYTES = 1 << 20
TIMEOUT_S = 30
ATTEMPTS = 5
# Pause before another attempt, in seconds, doubled each time.
PAUSE_S = 1.0


def download(url: str, partial: Path, target: Path) -> str:
    """Fetch a file into `partial` and return its SHA-256, resuming after breaks, also those of earlier runs.

    `target` is its final path, for messages. Raises ModelError if it cannot be fetched, DiskFull if the disk has too
    little space for it.
    """
    if urlsplit(url).scheme not in {"http", "https"}:
        raise ModelError(
            f"models are fetched by https only, not from {url}",
            file=target,
            remedy="correct the address in config/models.yaml",
        )
    partial.parent.mkdir(parents=True, exist_ok=True)
    for attempt in range(ATTEMPTS):
        try:
            return _continue(url, partial)
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, OSError) and (disk_error := disk_space.from_os_error(error, partial)):
                raise disk_error from error
            refused = isinstance(error, urllib.error.HTTPError) and error.code < 500
            if refused or attempt == ATTEMPTS - 1:
                raise ModelError(
                    f"the model could not be fetched from {url}: {error}",
                    file=target,
                    remedy="see that this machine reaches the address, then run `snakemake fetch_models` again: it "
                    "goes on where it stopped; or fetch the file elsewhere and put it in this place",
                ) from error
            LOG.warning("the download broke (%s), going on in a moment", error)
            time.sleep(PAUSE_S * 2**attempt)
    raise AssertionError("the last attempt returns or raises")


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
        answer = urllib.request.urlopen(request, timeout=TIMEOUT_S)  # noqa: S310  the scheme was checked
    except urllib.error.HTTPError as error:
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            return _nothing_left(error, partial, have, digest.hexdigest())
        raise
    with answer:
        if answer.status != http.client.PARTIAL_CONTENT:
            digest, have = hashlib.sha256(), 0
        left = answer.headers.get("Content-Length")
        disk_space.require(partial.parent, int(left or 0), reserve_bytes=0, what="the model")
        with partial.open("r+b" if have else "wb") as stream:
            stream.seek(have)
            written = 0
            # read1 hands over what has arrived; read would lose it when the connection breaks.
            while chunk := answer.read1(CHUNK_BYTES):
                stream.write(chunk)
                digest.update(chunk)
                written += len(chunk)
            stream.flush()
            os.fsync(stream.fileno())
    if left is not None and written < int(left):
        raise http.client.IncompleteRead(b"", int(left) - written)
    return digest.hexdigest()


def _nothing_left(error: urllib.error.HTTPError, partial: Path, have: int, sha256: str) -> str:
    """Handle HTTP 416 after the first `have` bytes: they are the whole file, or too many."""
    length = re.fullmatch(r"bytes \*/(\d+)", error.headers.get("Content-Range", ""))
    if length and int(length[1]) != have:
        partial.unlink()
        raise ConnectionError(f"{have} bytes were here, the file has {length[1]}: it is another one now") from error
    return sha256
