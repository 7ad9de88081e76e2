"""Tables that people write: tab separated, UTF-8, no quoting. A mistake raises one error that names the row."""

from __future__ import annotations

import codecs
import difflib
import io
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from tapemill.core.errors import ConfigError

from . import untrusted_text

# A path has 4096 bytes at most. Some tapes of a large archive, all their scenes in another table.
MAX_LINE_BYTES = 65_536
MAX_ROWS = 20_000
# Characters that make text look other than it is (Unicode's bidirectional embeddings, overrides and isolates), and
# categories of those that are no text at all. The marks that right-to-left names need (U+200E, U+200F) are fine.
BIDI_CONTROLS = frozenset(map(chr, [*range(0x202A, 0x202F), *range(0x2066, 0x206A)]))
CONTROL_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})


OnFaultyRow = Callable[[Mapping[str, str], ConfigError], None]


def _raise(_cells: Mapping[str, str], error: ConfigError) -> None:
    raise error


def read_table(
    path: Path,
    columns: Sequence[str],
    *,
    required: Sequence[str],
    verbatim: Sequence[str] = (),
    on_faulty_row: OnFaultyRow = _raise,
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the rows that are not blank, with their numbers: tab separated, UTF-8, no quoting, everything text.

    Cells are stripped, unless their column is `verbatim`. Raises ConfigError for a column that is not one of `columns`,
    or is `required` and missing, and for a file that is too large. A row with control characters or too many cells is
    given to `on_faulty_row`, with its cells as far as they are known, and left out.
    """
    data = _read_checked(path, columns, on_faulty_row)
    # pandas costs most of the time of parsing the Snakefile, and Snakemake imports it anyway.
    import csv

    import pandas as pd

    try:
        # Bytes that are not UTF-8 stay what they are (surrogates), since file names may hold any.
        table = pd.read_csv(
            io.BytesIO(data),
            sep="\t",
            dtype=str,
            keep_default_na=False,
            quoting=csv.QUOTE_NONE,
            encoding_errors="surrogateescape",
            comment=None,
            skip_blank_lines=False,
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise _unreadable(path, str(error)) from error
    for column in required:
        if column not in table.columns:
            raise ConfigError(f"the column {column!r} is missing in {path}", remedy="see config/README.md")
    for number, row in enumerate(table.to_dict("records"), start=2):
        # Blanks around a word are a slip; in a file name they may be intended.
        cells = {str(key): str(value) if key in verbatim else str(value).strip() for key, value in row.items()}
        if any(cell.strip() for cell in cells.values()):
            try:
                for column in cells.keys() - set(verbatim):
                    _check_text(cells[column], f"row {number} of {path}: {column}")
            except ConfigError as fault:
                on_faulty_row(cells, fault)
                continue
            yield number, cells


def _read_checked(path: Path, columns: Sequence[str], on_faulty_row: OnFaultyRow) -> bytes:
    """Read a table and check its size, header and encoding. Rows with too many cells become blank."""
    try:
        data = untrusted_text.read_bytes(path, max_bytes=untrusted_text.MAX_TEXT_BYTES, error=ConfigError)
    except OSError as error:
        raise _unreadable(path, str(error.strerror)) from error
    untrusted_text.check_encoding(data, path, ConfigError)
    data = data.removeprefix(codecs.BOM_UTF8)
    lines = data.splitlines()
    longest = max(range(len(lines)), key=lambda index: len(lines[index]), default=0)
    if lines and len(lines[longest]) > MAX_LINE_BYTES:
        raise _unreadable(path, f"line {longest + 1} has more than {MAX_LINE_BYTES} bytes")
    if len(lines) > MAX_ROWS:
        raise _unreadable(path, f"it has {len(lines)} lines, more than {MAX_ROWS}")
    header = lines[0].decode("utf-8", "backslashreplace").split("\t") if lines else []
    for index, column in enumerate(header):
        if column not in columns:
            raise ConfigError(
                f"unknown column {column[:60]!r} in {path}{did_you_mean(column[:60], columns)}",
                remedy="config/README.md lists the columns",
            )
        if column in header[:index]:
            raise ConfigError(f"the column {column!r} is there twice in {path}", remedy="remove one of them")
    # pandas would take the first cells for row names.
    too_many = [number for number, line in enumerate(lines) if line.count(b"\t") >= len(header)]
    for number in too_many:
        cells = lines[number].decode("utf-8", "backslashreplace").split("\t")
        fault = ConfigError(
            f"row {number + 1} of {path} has more cells than the first row, which names the columns",
            remedy="remove the tabs that are too many",
        )
        on_faulty_row(dict(zip(header, cells, strict=False)), fault)
        lines[number] = b""
    return b"\n".join(lines) if too_many else data


def _unreadable(path: Path, why: str) -> ConfigError:
    return ConfigError(f"the table cannot be read: {why}", file=path, remedy="see config/README.md for its columns")


def _check_text(cell: str, where: str) -> None:
    for character in cell:
        if unicodedata.category(character) in CONTROL_CATEGORIES or character in BIDI_CONTROLS:
            known = unicodedata.name(character, "a control character")
            what = "a byte that is not UTF-8" if unicodedata.category(character) == "Cs" else known
            raise ConfigError(
                f"{where}: U+{ord(character):04X} ({what}) may not stand there",
                remedy="type the text again; save the table as UTF-8",
            )


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """Return the end of a message about an unknown word: a suggestion, or the known words."""
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f", did you mean {near[0]!r}?" if near else f"; known are {', '.join(known)}"
