"""Sanitising of subtitle text: no player runs or misparses the result.

Allowed markup is <i>, <b> and <u>, which SubRip and WebVTT share; everything else that looks like markup goes.
"""

from __future__ import annotations

import html
import re
import unicodedata

LINE_BREAKS = re.compile(r"\r\n?|[\v\f\x1c-\x1e\x85\u2028\u2029]|\\N")
# Overrides of the ASS format, which most players also obey in SubRip: {\an8}, {\pos(1,2)}.
OVERRIDES = re.compile(r"\{\s*\\[^{}]*\}")
# Possessive (++, *+), without backtracking: a line of "<aaaa" would take hours.
TAGS = re.compile(r"<(/?)\s*+([A-Za-z][A-Za-z0-9.]*+)[^<>]*+>|<[!?/][^<>]*+>")
MARKUP = frozenset({"i", "b", "u"})
# Overrides of the direction that characters have by themselves: no language needs them, they only deceive.
DIRECTION_OVERRIDES = frozenset("\u202d\u202e")
# Mark of order of bytes, and what stands for bytes that are no character: Whisper's tokens can be parts of one.
NO_CHARACTERS = frozenset("\ufeff\ufffd")
# A parser may take this for the beginning of a tag that ends in a later line.
OPENING = re.compile(r"<(?=[A-Za-z/!?])")
# An opening that would make a tag with the text behind a removed tag.
UNCLOSED = re.compile(r"<(?=[^<>]*+\Z)")

# Start of an override that is left when others were removed from its middle.
OVERRIDE_START = re.compile(r"\{(?=\s*+\\)")


def safe_text(text: str, *, markup: bool) -> str:
    """Remove control characters, arrows, overrides, tags, and empty lines, which would end a cue.

    With `markup` the tags in `MARKUP` stay; each is closed.
    """
    text = OVERRIDES.sub("", LINE_BREAKS.sub("\n", text)).replace("\\h", " ").replace("\t", " ")
    text = "".join(c for c in text if c == "\n" or not _is_harmful(c))
    parts: list[str] = []
    opened: list[str] = []
    end = 0
    for tag in TAGS.finditer(text):
        before = _escape_openings(text[end : tag.start()])
        end = tag.end()
        rewritten = _rewritten(tag, opened) if markup else ""
        parts += [before, rewritten] if rewritten else [UNCLOSED.sub("‹", before)]
    parts.append(_escape_openings(text[end:]))
    parts.extend(f"</{name}>" for name in reversed(opened))
    whole = OVERRIDE_START.sub("(", "".join(parts)).replace("-->", "→")
    lines = (" ".join(line.split()) for line in whole.split("\n"))
    return "\n".join(line for line in lines if line)


def _rewritten(tag: re.Match[str], opened: list[str]) -> str:
    """Replacement of a tag, "" to drop it; `opened` are the tags that are not closed yet."""
    name = (tag[2] or "").lower()
    if name not in MARKUP:
        return ""
    if not tag[1]:
        opened.append(name)
        return f"<{name}>"
    return f"</{opened.pop()}>" if opened and opened[-1] == name else ""


def _is_harmful(character: str) -> bool:
    controls = unicodedata.category(character) in {"Cc", "Cs"}
    return controls or character in NO_CHARACTERS or character in DIRECTION_OVERRIDES


def _escape_openings(text: str) -> str:
    return OPENING.sub("‹", text)


def vtt_text(text: str) -> str:
    """Safe text as WebVTT writes it: &, < and > as character references, except in tags."""
    escaped = html.escape(text, quote=False)
    return re.sub(r"&lt;(/?[ibu])&gt;", r"<\1>", escaped)
