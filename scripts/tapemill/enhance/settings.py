"""Settings of the stage enhance, and the presets that fill in what the config leaves open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any, Literal

from tapemill.devices.device import Precision

Preset = Literal["fast", "gentle", "none", "good", "best"]
Deinterlace = Literal["bob", "single", "off"]

# Captures of a whole tape frame have these many lines; only they end in the lines of the head switch.
TAPE_LINES = frozenset({480, 486, 576})


@dataclass(frozen=True)
class FilterSettings:
    """Strengths of all filters, every one decided. Zero leaves a filter out."""

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


_NOTHING = FilterSettings(
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
    # Worn VHS. Measured on the demo tape, whose truth is known: up to here likeness grows with every step (PSNR of luma
    # 29.0 → 30.6 dB); it would go on growing, but real movement begins to trail. Sharpening lowers it at any strength.
    "fast": {
        "crop_bottom_lines": 10,
        "denoise_luma_spatial": 6.0,
        "denoise_luma_temporal": 16.0,
        "denoise_chroma_spatial": 8.0,
        "denoise_chroma_temporal": 16.0,
        "chroma_bleed": 2.0,
        "deband_levels": 1.0,
    },
    # S-VHS, Hi8, Video8 and DV: nothing that a comparison side by side would show as a loss.
    "gentle": {
        "denoise_luma_spatial": 0.7,
        "denoise_luma_temporal": 2.0,
        "denoise_chroma_spatial": 1.5,
        "denoise_chroma_temporal": 3.0,
        "chroma_bleed": 0.5,
        "sharpen": 0.1,
    },
    "none": {},
    # The filters of `fast`; the network makes up for what they blur. Weaker ones along lines leave it no more to work
    # with: after the same short training it came to 32.1 dB of luma on the demo at 0, to 32.2 dB at 6.
    "good": {
        "crop_bottom_lines": 10,
        "denoise_luma_spatial": 6.0,
        "denoise_luma_temporal": 16.0,
        "denoise_chroma_spatial": 8.0,
        "denoise_chroma_temporal": 16.0,
        "chroma_bleed": 2.0,
    },
    # VRT sees movement, so nothing is smoothed before it.
    "best": {"crop_bottom_lines": 10, "chroma_bleed": 2.0},
}


@dataclass(frozen=True)
class EnhanceSettings:
    """The config section `enhance`; what each key means stands in the config schema.

    None in a filter's key means: as the preset says.
    """

    preset: Preset
    chain: Sequence[Any] | None
    """None: the preset's. In a job it is written out (`chain.resolve_chain`)."""
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
        """All strengths for a capture of so many lines; `own` are those that a step of the chain states itself.

        The preset's crop is for whole tape frames alone.
        """
        preset = PRESETS[self.preset]
        values = {}
        for field in fields(FilterSettings):
            chosen = own.get(field.name, getattr(self, field.name))
            if chosen is None:
                chosen = preset.get(field.name, getattr(_NOTHING, field.name))
                if field.name.startswith("crop_") and lines not in TAPE_LINES:
                    chosen = 0
            values[field.name] = chosen
        return FilterSettings(**values)
