"""Text that no player runs or mis-parses, and lines of it.

Allowed markup is <i>, <b> and <u>, which SubRip and WebVTT share; everything else that looks like markup goes.
"""

from __future__ import annotations

import html
import re
import unicodedata

LINE_BREAKS = re.compile(r"\r\n?|[\v\f\x1c-\x1e\x85\u2028\u2029]|\\N")
# Overrides of the ASS format, which most players also obey in SubRip: {\an8}, {\pos(1,2)}.
OVERRIDES = re.compile(r"\{\s*\\[^{}]*\}")
# Nothing is given back (++, *+): tried again and again, a line of "<aaaa" would take hours.
TAGS = re.compile(r"<(/?)\s*+([A-Za-z][A-Za-z0-9.]*+)[^<>]*+>|<[!?/][^<>]*+>")
MARKUP = frozenset({"i", "b", "u"})
# Overrides of the direction that characters have by themselves: no language needs them, they only deceive.
DIRECTION_OVERRIDES = frozenset("\u202d\u202e")
# A parser may take this for the beginning of a tag that ends in a later line.
OPENING = re.compile(r"<(?=[A-Za-z/!?])")
# What would make a tag of the text behind one that was taken out.
UNCLOSED = re.compile(r"<(?=[^<>]*+\Z)")

# What is still an override when others were taken out of its middle.
OVERRIDE_START = re.compile(r"\{(?=\s*+\\)")


def safe_text(text: str, *, markup: bool) -> str:
    """Lines without control characters, arrows, overrides and tags; without empty lines, which would end a cue.

    With `markup` the tags in `MARKUP` stay, each closed again.
    """
    text = OVERRIDES.sub("", LINE_BREAKS.sub("\n", text)).replace("\\h", " ").replace("\t", " ")
    text = "".join(c for c in text if c == "\n" or not _is_harmful(c))
    parts: list[str] = []
    opened: list[str] = []
    end = 0
    for tag in TAGS.finditer(text):
        before = _harmless(text[end : tag.start()])
        end = tag.end()
        kept = _kept(tag, opened) if markup else ""
        parts += [before, kept] if kept else [UNCLOSED.sub("‹", before)]
    parts.append(_harmless(text[end:]))
    parts.extend(f"</{name}>" for name in reversed(opened))
    whole = OVERRIDE_START.sub("(", "".join(parts)).replace("-->", "→")
    lines = (" ".join(line.split()) for line in whole.split("\n"))
    return "\n".join(line for line in lines if line)


def _kept(tag: re.Match[str], opened: list[str]) -> str:
    """What is left of a tag; `opened` are those that wait for their end."""
    name = (tag[2] or "").lower()
    if name not in MARKUP:
        return ""
    if not tag[1]:
        opened.append(name)
        return f"<{name}>"
    return f"</{opened.pop()}>" if opened and opened[-1] == name else ""


def _is_harmful(character: str) -> bool:
    controls = unicodedata.category(character) in {"Cc", "Cs"}
    return controls or character == "\ufeff" or character in DIRECTION_OVERRIDES


def _harmless(text: str) -> str:
    return OPENING.sub("‹", text)


def vtt_text(text: str) -> str:
    """Safe text as WebVTT writes it: &, < and > as character references, except in tags."""
    escaped = html.escape(text, quote=False)
    return re.sub(r"&lt;(/?[ibu])&gt;", r"<\1>", escaped)
