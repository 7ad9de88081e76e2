"""Settings of the stage `scenes`; meanings, units and ranges are in the config schema."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from tapemill.core.errors import ConfigError
from tapemill.core.timing import round_half_up


@dataclass(frozen=True)
class ScenesSettings:
    """Config section `scenes`."""

    cut_ratio: float
    cut_change: float
    flash_s: float
    black_level: int
    black_s: float
    shortest_s: float
    longest_s: float

    def __post_init__(self) -> None:
        if self.longest_s < 3 * self.shortest_s:
            raise ConfigError(
                f"scenes: longest_s ({self.longest_s}) is less than three times shortest_s ({self.shortest_s})",
                remedy="a long scene could not be split into parts that are long enough; raise longest_s",
            )

    def in_frames(self, seconds: float, rate: Fraction) -> int:
        """Convert seconds to frames, at least one."""
        return max(1, round_half_up(Fraction(seconds).limit_denominator(1000) * rate))

    def longest_frames(self, rate: Fraction) -> int:
        """Return the maximum frames of a scene: rounded down, so that it is never longer than `longest_s`."""
        return max(1, int(Fraction(self.longest_s).limit_denominator(1000) * rate))
