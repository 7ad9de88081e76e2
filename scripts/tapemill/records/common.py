"""Entries that several records have: failures, rejected memory plans, texts of a fixed form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from tapemill.storage.typed_json import Constraint, JsonRecord

Sha256 = Annotated[str, Constraint(pattern="^[0-9a-f]{64}$")]
SceneName = Annotated[str, Constraint(pattern=r"^\d{7}$")]
Count = Annotated[int, Constraint(minimum=0)]


@dataclass(frozen=True)
class Failure(JsonRecord):
    """Error that made a scene come out otherwise than requested."""

    error: str
    """Class of the error."""
    message: str

    def __str__(self) -> str:
        return f"{self.error}: {self.message}"


@dataclass(frozen=True)
class Rejection(JsonRecord):
    """Candidate of a memory plan that was rejected, and why."""

    step: str
    need_bytes: int
    budget_bytes: int
    reason: str
