"""Settings of the stage enhance, and the presets for keys that the config leaves empty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any, Literal

from tapemill.devices.device import Precision

Preset = Literal["fast", "gentle", "none", "good", "best"]
Deinterlace = Literal["bob", "single", "off"]

# Line counts of captures with the whole frame; only they end in the head-switching lines.
TAPE_LINES = frozenset({480, 486, 488, 576})


@dataclass(frozen=True)
class FilterSettings:
    """Strengths of all filters. Zero disables a filter."""

    crop_top_lines: int
    crop_bottom_lines: int
    crop_left_samples: int
    crop_right_samples: int
    denoise_luma_spatial: float
    denoise_luma_temporal: float
    denoise_chroma_spatial: float
    denoise_chroma_temporal: float
    chroma_shift_samples: int
    chroma_shift_lines: int
    chroma_bleed: float
    chroma_bleed_samples: int
    deband_levels: float
    sharpen: float
    grain_levels: float


_ALL_OFF = FilterSettings(
    crop_top_lines=0,
    crop_bottom_lines=0,
    crop_left_samples=0,
    crop_right_samples=0,
    denoise_luma_spatial=0.0,
    denoise_luma_temporal=0.0,
    denoise_chroma_spatial=0.0,
    denoise_chroma_temporal=0.0,
    chroma_shift_samples=0,
    chroma_shift_lines=0,
    chroma_bleed=0.0,
    # A VHS chroma band of about 0.5 MHz smears an edge over some seven samples of a 13.5 MHz capture.
    chroma_bleed_samples=7,
    deband_levels=0.0,
    sharpen=0.0,
    grain_levels=0.0,
)

PRESETS: Mapping[Preset, Mapping[str, float]] = {
    # Worn VHS. Measured on the demo tape, whose original is known: each step up to here raises the PSNR of luma (29.0 →
    # 30.6 dB); stronger filters raise it further, but movement begins to smear. Sharpening lowers it at any strength.
    "fast": {
        "crop_bottom_lines": 10,
        "denoise_luma_spatial": 6.0,
        "denoise_luma_temporal": 16.0,
        "denoise_chroma_spatial": 8.0,
        "denoise_chroma_temporal": 16.0,
        "chroma_bleed": 2.0,
        "deband_levels": 1.0,
    },
    # S-VHS, Hi8, Video8 and DV: no loss that is visible side by side.
    "gentle": {
        "denoise_luma_spatial": 0.7,
        "denoise_luma_temporal": 2.0,
        "denoise_chroma_spatial": 1.5,
        "denoise_chroma_temporal": 3.0,
        "chroma_bleed": 0.5,
        "sharpen": 0.1,
    },
    "none": {},
    # The filters of `fast`; the network restores what they blur. Weaker spatial filters do not help it: after the same
    # short training it reached 32.1 dB of luma on the demo at 0, and 32.2 dB at 6.
    "good": {
        "crop_bottom_lines": 10,
        "denoise_luma_spatial": 6.0,
        "denoise_luma_temporal": 16.0,
        "denoise_chroma_spatial": 8.0,
        "denoise_chroma_temporal": 16.0,
        "chroma_bleed": 2.0,
    },
    # VRT uses movement, so nothing is smoothed before it.
    "best": {"crop_bottom_lines": 10, "chroma_bleed": 2.0},
}


@dataclass(frozen=True)
class EnhanceSettings:
    """Section `enhance` of the config; the meaning of each key is in the config schema.

    None in a filter's key: the value of the preset.
    """

    preset: Preset
    chain: Sequence[Any] | None
    """None: that of the preset. In a job it is resolved (`chain.resolve_chain`)."""
    frame_model: str
    vrt_model: str
    overrides: str
    network_precision: Precision
    network_tile_samples: int | None
    network_compile: bool
    deinterlace: Deinterlace
    field_order_by_scene: bool
    crop_top_lines: int | None
    crop_bottom_lines: int | None
    crop_left_samples: int | None
    crop_right_samples: int | None
    denoise_luma_spatial: float | None
    denoise_luma_temporal: float | None
    denoise_chroma_spatial: float | None
    denoise_chroma_temporal: float | None
    chroma_shift_samples: int | None
    chroma_shift_lines: int | None
    chroma_bleed: float | None
    chroma_bleed_samples: int | None
    deband_levels: float | None
    sharpen: float | None
    grain_levels: float | None
    height_lines: int | None
    encoder: str
    crf: float | None
    encoder_effort: Literal["fast", "medium", "slow", "slower"]
    encoder_threads: int
    keyframe_interval_s: float
    pixel_format: str

    def filters(self, *, lines: int, own: Mapping[str, float] = MappingProxyType({})) -> FilterSettings:
        """Strengths of all filters for a capture of `lines` lines; `own` are the settings of a step of the chain.

        The preset's crop applies to captures of whole frames only.
        """
        preset = PRESETS[self.preset]
        values = {}
        for field in fields(FilterSettings):
            chosen = own.get(field.name, getattr(self, field.name))
            if chosen is None:
                chosen = preset.get(field.name, getattr(_ALL_OFF, field.name))
                if field.name.startswith("crop_") and lines not in TAPE_LINES:
                    chosen = 0
            values[field.name] = chosen
        return FilterSettings(**values)
