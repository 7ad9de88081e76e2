"""The filter graphs of a scene: one for a chain of filters alone, or one before its networks and one after them.

The frame is fixed, because each step relies on those before it: fields are taken apart before anything looks at
neighbouring lines, and the picture is resampled once. What stands between is the chain's affair. Networks get RGB of
16 bits, full range, and give it back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from tapemill.enhance.chain import Chain, FilterStep
from tapemill.enhance.output_format import (
    SMALLEST_DEINTERLACED_SIDE,
    SMALLEST_RESTORED_SIDE,
    Crop,
    Layout,
    OutputFormat,
    cropped,
    frame_layout,
    is_rgb,
    plan_output_format,
    source_colour,
    working_layout,
)
from tapemill.enhance.settings import EnhanceSettings
from tapemill.media.capture_info import FieldOrder, VideoInfo
from tapemill.media.colour import Colour
from tapemill.media.ffmpeg.runner import BITEXACT_SCALING

from .catalog import FILTERS

SCALER = f"flags={BITEXACT_SCALING[1]}"
# Nobody tags chroma location; "left" is what untagged video means.
CHROMA = "in_chroma_loc=left:out_chroma_loc=left"
# What networks get and give: planes G, B, R of 16 bits, little-endian.
NETWORK_FORMAT = "gbrp16le"
# What they gave, for the filters after them: no colour lost, and more levels than the finished clip will have.
RESTORED_LAYOUT = Layout(10, 0, 0)


@dataclass(frozen=True)
class SceneGraphInput:
    """All that the graphs of one scene depend on."""

    picture: VideoInfo
    field_order: FieldOrder
    """The scene's own, which may differ from the tape's."""
    settings: EnhanceSettings
    chain: Chain
    output: OutputFormat
    crop: Crop
    layout: Layout
    """Samples while fields are woven: the capture's own."""
    frame_layout: Layout
    """Samples of the filtered frames: the capture's depth, and no more chroma than the chain has use for."""

    @classmethod
    def of(
        cls,
        picture: VideoInfo,
        field_order: FieldOrder,
        settings: EnhanceSettings,
        output: OutputFormat | None = None,
    ) -> SceneGraphInput:
        """Derive the rest; `output` is what the tape's clips are, if the scene's own settings would make another.

        Raises ConfigError like `plan_output_format`.
        """
        return cls(
            picture=picture,
            field_order=field_order,
            settings=settings,
            chain=Chain.of(settings),
            output=output or plan_output_format(picture, settings),
            crop=cropped(picture, settings),
            layout=working_layout(picture.pixel_format),
            frame_layout=frame_layout(picture, settings),
        )

    @property
    def deinterlaced(self) -> bool:
        """Whether this scene's frames hold two fields that have to be taken apart."""
        large_enough = min(self.picture.width, self.picture.height) >= SMALLEST_DEINTERLACED_SIDE
        return self.field_order != "progressive" and self.settings.deinterlace != "off" and large_enough

    @property
    def doubled(self) -> bool:
        """Whether each frame is shown twice, because the tape's other scenes become one frame a field."""
        return self.output.frames_per_frame == 2 and not self.deinterlaced

    @property
    def rate_before_doubling(self) -> Fraction:
        """Frames a second while the chain works on them."""
        return self.picture.rate if self.doubled else self.output.rate

    def frames_in_chain(self, frames: int) -> int:
        """How many pictures the chain works on for so many frames of the capture."""
        return frames if self.doubled else frames * self.output.frames_per_frame


def filter_chain(scene: SceneGraphInput) -> list[str]:
    """All steps of a chain without networks, in order; joined by commas they are one `-vf`."""
    return _steps(
        [*_opening(scene), reduce(scene), *_filtered(scene, scene.chain.before, scene.frame_layout), *_ending(scene)]
    )


def before_networks(scene: SceneGraphInput) -> list[str]:
    """The steps up to the first network: what it gets."""
    return _steps([*_opening(scene), *_filtered(scene, scene.chain.before, scene.frame_layout), to_rgb(scene)])


def after_networks(scene: SceneGraphInput) -> list[str]:
    """The steps after the last network, beginning with raw frames of `NETWORK_FORMAT`."""
    return _steps([from_rgb(scene), *_filtered(scene, scene.chain.after, RESTORED_LAYOUT), *_ending(scene)])


def _opening(scene: SceneGraphInput) -> list[str | None]:
    return [count_frames(scene), set_params(scene), normalise_format(scene), deinterlace(scene), crop(scene)]


def _ending(scene: SceneGraphInput) -> list[str | None]:
    finished = working_layout(scene.output.pixel_format)
    return [resize(scene), *_filtered(scene, scene.chain.last, finished), pad(scene), repeat_frames(scene), tag(scene)]


def _filtered(scene: SceneGraphInput, steps: Sequence[FilterStep], layout: Layout) -> list[str | None]:
    """Nothing for pictures too small to be filtered."""
    if min(scene.crop.width, scene.crop.height) < SMALLEST_RESTORED_SIDE:
        return []
    lines = scene.picture.height
    return [FILTERS[step.name](scene.settings.filters(lines=lines, own=step.own), layout) for step in steps]


def _steps(steps: Sequence[str | None]) -> list[str]:
    return [step for step in steps if step is not None]


def count_frames(scene: SceneGraphInput) -> str:
    """Times from frame numbers: containers round them, and a rounded time could cost or repeat a frame."""
    return _numbered(scene.picture.rate)


def set_params(scene: SceneGraphInput) -> str:
    """State field order and colour, whatever the file's tags say or leave open."""
    field_mode = {"tff": "tff", "bff": "bff", "progressive": "prog"}[scene.field_order]
    if not scene.deinterlaced:
        field_mode = "prog"
    if is_rgb(scene.picture.pixel_format):
        return f"setparams=field_mode={field_mode}:range=pc:colorspace=gbr"
    return f"setparams=field_mode={field_mode}:chroma_location=left:{_tags(source_colour(scene.picture))}"


def normalise_format(scene: SceneGraphInput) -> str | None:
    """Bring rare pixel formats to one that all filters take. Never resamples lines of interlaced material."""
    if scene.picture.pixel_format == scene.layout.name:
        return None
    colour = source_colour(scene.picture)
    matrices = f"out_color_matrix={colour.matrix}:out_range={colour.range}"
    if not is_rgb(scene.picture.pixel_format):
        matrices = f"in_color_matrix={colour.matrix}:in_range={colour.range}:{matrices}"
    return f"scale={matrices}:{CHROMA}:{SCALER},format={scene.layout.name},setparams={_tags(colour)}"


def deinterlace(scene: SceneGraphInput) -> str | None:
    """One progressive frame for each field (bob) or for each frame."""
    if not scene.deinterlaced:
        return None
    mode = "send_field" if scene.output.frames_per_frame == 2 else "send_frame"
    return f"bwdif=mode={mode}:parity={scene.field_order}:deint=all"


def crop(scene: SceneGraphInput) -> str | None:
    """Cut away borders and head-switching lines."""
    kept = scene.crop
    if (kept.width, kept.height) == (scene.picture.width, scene.picture.height):
        return None
    return f"crop=w={kept.width}:h={kept.height}:x={kept.left}:y={kept.top}:exact=1"


def reduce(scene: SceneGraphInput) -> str | None:
    """Drop chroma that the finished clip cannot hold before filters spend time on it; of frames, never of fields."""
    if scene.frame_layout == scene.layout:
        return None
    return f"scale={_kept_colour(scene)}:{CHROMA}:{SCALER},format={scene.frame_layout.name}"


def to_rgb(scene: SceneGraphInput) -> str:
    """What networks take."""
    colour = source_colour(scene.picture)
    matrices = f"in_color_matrix={colour.matrix}:in_range={colour.range}:out_range=pc"
    return f"scale={matrices}:{CHROMA}:{SCALER},format={NETWORK_FORMAT}"


def from_rgb(scene: SceneGraphInput) -> str:
    """Back to the capture's own kind of YUV."""
    colour = source_colour(scene.picture)
    matrices = f"in_range=pc:out_color_matrix={colour.matrix}:out_range={colour.range}"
    format = f"format={RESTORED_LAYOUT.name},setparams={_tags(colour)}"
    return f"setparams=range=pc:colorspace=gbr,scale={matrices}:{SCALER},{format}"


def resize(scene: SceneGraphInput) -> str:
    """Square pixels, video range, the output's sampling and depth; then BT.709 if the picture outgrew BT.601."""
    width, height = scene.output.restored_width, scene.output.restored_height
    source = source_colour(scene.picture)
    colour = _kept_colour(scene, new_range=scene.output.colour.range)
    text = f"scale=w={width}:h={height}:{colour}:{CHROMA}:{SCALER},format={scene.output.pixel_format}"
    if scene.output.colour.matrix != source.matrix:
        text += (
            f",colorspace=ispace={source.matrix}:iprimaries={source.primaries}:itrc={source.transfer}:irange=tv"
            f":all=bt709:range=tv"
        )
    return text


def pad(scene: SceneGraphInput) -> str | None:
    """A black border around pictures that are smaller than encoders take."""
    output = scene.output
    if (output.restored_width, output.restored_height) == (output.width, output.height):
        return None
    return f"pad=w={scene.output.width}:h={scene.output.height}:x=(ow-iw)/4*2:y=(oh-ih)/4*2:color=black"


def repeat_frames(scene: SceneGraphInput) -> str | None:
    """Show each frame twice. Last of all, so that nothing is filtered twice."""
    if not scene.doubled:
        return None
    return f"fps=fps={scene.output.rate}:start_time=0:round=down"


def tag(scene: SceneGraphInput) -> str:
    """Say what the picture is now, and number its frames at the new rate."""
    return f"setsar=1,setparams=field_mode=prog:{_tags(scene.output.colour)},{_numbered(scene.output.rate)}"


def _kept_colour(scene: SceneGraphInput, new_range: str | None = None) -> str:
    """Options of scale that keep the matrix, and the range unless a new one is given."""
    colour = source_colour(scene.picture)
    matrices = f"in_color_matrix={colour.matrix}:out_color_matrix={colour.matrix}"
    return f"{matrices}:in_range={colour.range}:out_range={new_range or colour.range}"


def _numbered(rate: Fraction) -> str:
    return f"settb=expr={rate.denominator}/{rate.numerator},setpts=expr=N"


def _tags(colour: Colour) -> str:
    names = f"color_primaries={colour.primaries}:color_trc={colour.transfer}:colorspace={colour.matrix}"
    return f"range={colour.range}:{names}"
