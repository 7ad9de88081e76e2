"""HTML page of the report: one self-contained file, with no script but our own and no network access.

Foreign texts (titles, subtitles, reasons) are always escaped by Jinja. If a mistake lets markup through, the page's
content security policy allows no script but the one whose hash it names.
"""

from __future__ import annotations

import base64
import hashlib
import unicodedata
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tapemill.storage.tsv import BIDI_CONTROLS, CONTROL_CATEGORIES

if TYPE_CHECKING:
    from jinja2 import Environment
from collections.abc import Mapping

from tapemill.core.errors import InputError
from tapemill.storage import untrusted_text

TEMPLATES = Path(__file__).parent / "templates"


def readable(text: str) -> str:
    """Make a text safe to display: control and direction characters become escapes."""
    return "".join(
        character.encode("unicode_escape").decode()
        if character in BIDI_CONTROLS or unicodedata.category(character) in CONTROL_CATEGORIES
        else character
        for character in text
    )


def render(template: str, **values: Any) -> str:
    """Render a template of `templates/`."""
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    def finalize(value: Any) -> Any:
        return readable(value) if isinstance(value, str) and not isinstance(value, Markup) else value

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "clock": format_position,
        "duration": format_duration,
        "svg": _as_image,
        "share": lambda value: f"{value:.0%}",
    }
    environment.globals |= {"style": Markup(_source("page.css")), "script": _script, "policy": _policy}  # noqa: S704
    return environment


def format_position(seconds: float) -> str:
    """Format a position on a tape: `1:02:03.4` or `2:03.4`."""
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    start = f"{hours}:{minutes:02d}" if hours else f"{minutes}"
    return f"{start}:{rest // 10:02d}.{rest % 10}"


def format_duration(seconds: float) -> str:
    """Format a duration in suitable units."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{seconds / 60:.1f} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def _as_image(svg: str) -> str:
    """An SVG as the `src` of an image, where scripts cannot run."""
    start = svg.index("<svg")
    return f"data:image/svg+xml;base64,{base64.b64encode(svg[start:].encode()).decode('ascii')}"


def _policy(script: str = "") -> str:
    """Content security policy of a page with this script only."""
    allowed = "'none'"
    if script:
        digest = base64.b64encode(hashlib.sha256(_source(script).encode()).digest()).decode("ascii")
        allowed = f"'sha256-{digest}'"
    return f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {allowed}"


def _script(name: str) -> Any:
    from markupsafe import Markup

    return Markup(_source(name))  # noqa: S704  ours


@cache
def _source(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def report_entry(name: str, title: str) -> Mapping[str, Any]:
    """Arguments of Snakemake's `report()` for a page of a tape; labels are read when the report is made."""

    def labels(wildcards: Any) -> dict[str, str]:
        headlines = Path(f"results/{wildcards.tape}/report/headlines.json")
        return {"page": title, "in short": headline(headlines, name)}

    return {
        "value": f"results/{{tape}}/report/{name}.html",
        "category": "Tapes",
        "subcategory": "{tape}",
        "labels": labels,
        "caption": f"report/{name}.rst",
    }


def headline(headlines: Path, page: str) -> str:
    """Summary line of a page from the file that `render_tape_report` wrote; it has no foreign text."""
    remedy = "delete it, and the workflow makes it again"
    return str(untrusted_text.read_json(headlines, error=InputError, remedy=remedy)[page])
