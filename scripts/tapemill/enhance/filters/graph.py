"""Filter graphs of a scene: one for a chain of filters only, or one before its networks and one after them.

The first and last steps are fixed, because each depends on those before it: fields are separated before any filter
uses neighbouring lines, and frames are resampled once. The steps between come from the chain. Networks take and return
RGB of 16 bits, full range.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from tapemill.enhance.chain import Chain, FilterStep
from tapemill.enhance.film import Film, weave_filters
from tapemill.enhance.output_format import (
    SMALLEST_DEINTERLACED_SIDE,
    SMALLEST_RESTORED_SIDE,
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
from tapemill.media.capture_info import Crop, FieldOrder, VideoInfo
from tapemill.media.colour import Colour
from tapemill.media.ffmpeg.runner import BITEXACT_SCALING
from tapemill.media.field_holes import Hole, hold_fields_filters

from .catalog import FILTERS

SCALER = f"flags={BITEXACT_SCALING[1]}"
# Chroma location is never tagged; untagged video has "left".
CHROMA = "in_chroma_loc=left:out_chroma_loc=left"
# Input and output of networks: planes G, B, R of 16 bits, little-endian.
NETWORK_FORMAT = "gbrp16le"
# Layout of their output for the filters after them: full chroma, and more levels than 8 bits.
RESTORED_LAYOUT = Layout(10, 0, 0)


@dataclass(frozen=True)
class SceneGraphInput:
    """Inputs of the filter graphs of one scene."""

    picture: VideoInfo
    field_order: FieldOrder
    """The scene's own, which may differ from the tape's."""
    settings: EnhanceSettings
    chain: Chain
    output: OutputFormat
    crop: Crop
    layout: Layout
    """Layout before deinterlacing: the capture's own."""
    frame_layout: Layout
    """Layout after deinterlacing: the capture's depth, and no more chroma than the chain needs."""
    holes: tuple[Hole, ...] = ()
    """Frames that the capture does not have."""
    film: Film | None = None
    """Film, whose fields are woven."""

    @classmethod
    def of(
        cls,
        picture: VideoInfo,
        field_order: FieldOrder,
        settings: EnhanceSettings,
        output: OutputFormat | None = None,
        holes: tuple[Hole, ...] = (),
        film: Film | None = None,
    ) -> SceneGraphInput:
        """Derive all inputs; `output` is the format of the tape's clips, if that of the scene would be different.

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
            holes=holes,
            film=film,
        )

    @property
    def deinterlaced(self) -> bool:
        """Whether this scene is deinterlaced."""
        large_enough = min(self.picture.width, self.picture.height) >= SMALLEST_DEINTERLACED_SIDE
        return self.field_order != "progressive" and self.settings.deinterlace != "off" and large_enough

    def frames_out(self, frames: int) -> int:
        """Number of frames of the clip for a cut of so many frames."""
        return self.film.cadence.shown if self.film and self.film.cadence else self.output.frames(frames)

    def source_frame(self, number: int) -> int:
        """Frame of the cut that a frame of the clip is made of."""
        if self.film and self.film.cadence:
            return self.film.cadence.shown_fields()[number] // 2
        return number // self.output.frames_per_frame

    @property
    def repeats_frames(self) -> bool:
        """Whether each frame is shown twice, because other scenes of the tape get one frame per field."""
        return self.output.frames_per_frame == 2 and not self.deinterlaced

    @property
    def chain_rate(self) -> Fraction:
        """Frame rate within the chain, before frames are repeated."""
        return self.picture.rate if self.repeats_frames else self.output.rate

    def frames_in_chain(self, frames: int) -> int:
        """Number of frames within the chain for `frames` frames of the capture."""
        return frames if self.repeats_frames else self.frames_out(frames)


def filter_chain(scene: SceneGraphInput) -> list[str]:
    """Filters of a chain without networks, in order; joined by commas they are one `-vf`."""
    return _without_none(
        [
            *_first_filters(scene),
            reduce_chroma(scene),
            *_step_filters(scene, scene.chain.before, scene.frame_layout),
            *_last_filters(scene),
        ]
    )


def before_networks(scene: SceneGraphInput) -> list[str]:
    """Filters up to the first network; the last one makes frames of `NETWORK_FORMAT`."""
    return _without_none(
        [*_first_filters(scene), *_step_filters(scene, scene.chain.before, scene.frame_layout), to_rgb(scene)]
    )


def after_networks(scene: SceneGraphInput) -> list[str]:
    """Filters after the last network, from raw frames of `NETWORK_FORMAT` on."""
    return _without_none(
        [from_rgb(scene), *_step_filters(scene, scene.chain.after, RESTORED_LAYOUT), *_last_filters(scene)]
    )


def _first_filters(scene: SceneGraphInput) -> list[str | None]:
    frames = [count_frames(scene), set_params(scene), normalise_format(scene)]
    return [*frames, *hold_fields(scene), deinterlace(scene), crop(scene)]


def _last_filters(scene: SceneGraphInput) -> list[str | None]:
    finished = working_layout(scene.output.pixel_format)
    return [
        resize(scene),
        *_step_filters(scene, scene.chain.last, finished),
        pad(scene),
        repeat_frames(scene),
        tag(scene),
    ]


def _step_filters(scene: SceneGraphInput, steps: Sequence[FilterStep], layout: Layout) -> list[str | None]:
    """Filters of some steps; none for frames too small to be filtered."""
    if min(scene.crop.width, scene.crop.height) < SMALLEST_RESTORED_SIDE:
        return []
    lines = scene.picture.height
    return [FILTERS[step.name](scene.settings.filters(lines=lines, own=step.own), layout) for step in steps]


def _without_none(steps: Sequence[str | None]) -> list[str]:
    return [step for step in steps if step is not None]


def count_frames(scene: SceneGraphInput) -> str:
    """Set times from frame numbers: a time rounded by a container could drop or repeat a frame."""
    return _times_from_numbers(scene.picture.rate)


def set_params(scene: SceneGraphInput) -> str:
    """Set field order and colour, whatever the file's tags are."""
    field_mode = {"tff": "tff", "bff": "bff", "progressive": "prog"}[scene.field_order]
    if not scene.deinterlaced:
        field_mode = "prog"
    if is_rgb(scene.picture.pixel_format):
        return f"setparams=field_mode={field_mode}:range=pc:colorspace=gbr"
    return f"setparams=field_mode={field_mode}:chroma_location=left:{_tags(source_colour(scene.picture))}"


def normalise_format(scene: SceneGraphInput) -> str | None:
    """Convert rare pixel formats to one that all filters accept. Never resamples lines of interlaced frames."""
    if scene.picture.pixel_format == scene.layout.name:
        return None
    colour = source_colour(scene.picture)
    matrices = f"out_color_matrix={colour.matrix}:out_range={colour.range}"
    if not is_rgb(scene.picture.pixel_format):
        matrices = f"in_color_matrix={colour.matrix}:in_range={colour.range}:{matrices}"
    return f"scale={matrices}:{CHROMA}:{SCALER},format={scene.layout.name},setparams={_tags(colour)}"


def hold_fields(scene: SceneGraphInput) -> list[str]:
    """Hold one field in each hole of a scene that is deinterlaced."""
    if not scene.deinterlaced or scene.field_order == "progressive":
        return []
    return hold_fields_filters(scene.holes, scene.field_order)


def deinterlace(scene: SceneGraphInput) -> str | None:
    """Deinterlace to one progressive frame per field (bob) or per frame; fields of film are woven."""
    if not scene.deinterlaced:
        return None
    if scene.film:
        every_field = scene.output.frames_per_frame == 2
        single = f"bwdif=mode=send_field:parity={scene.field_order}:deint=all"
        return weave_filters(scene.film, rate=scene.picture.rate, deinterlacer=single, every_field=every_field)
    mode = "send_field" if scene.output.frames_per_frame == 2 else "send_frame"
    return f"bwdif=mode={mode}:parity={scene.field_order}:deint=all"


def crop(scene: SceneGraphInput) -> str | None:
    """Crop borders and head-switching lines."""
    area = scene.crop
    if (area.width, area.height) == (scene.picture.width, scene.picture.height):
        return None
    return f"crop=w={area.width}:h={area.height}:x={area.left}:y={area.top}:exact=1"


def reduce_chroma(scene: SceneGraphInput) -> str | None:
    """Drop chroma that the finished clip cannot store, before filters spend time on it; of frames, never of fields."""
    if scene.frame_layout == scene.layout:
        return None
    return f"scale={_colour_options(scene)}:{CHROMA}:{SCALER},format={scene.frame_layout.name}"


def to_rgb(scene: SceneGraphInput) -> str:
    """Convert to the input format of networks."""
    colour = source_colour(scene.picture)
    matrices = f"in_color_matrix={colour.matrix}:in_range={colour.range}:out_range=pc"
    return f"scale={matrices}:{CHROMA}:{SCALER},format={NETWORK_FORMAT}"


def from_rgb(scene: SceneGraphInput) -> str:
    """Convert the output of networks to the capture's own YUV."""
    colour = source_colour(scene.picture)
    matrices = f"in_range=pc:out_color_matrix={colour.matrix}:out_range={colour.range}"
    format = f"format={RESTORED_LAYOUT.name},setparams={_tags(colour)}"
    return f"setparams=range=pc:colorspace=gbr,scale={matrices}:{SCALER},{format}"


def resize(scene: SceneGraphInput) -> str:
    """Resize to square pixels, video range, the output's sampling and depth; then convert to BT.709 if it is not SD."""
    width, height = scene.output.restored_width, scene.output.restored_height
    source = source_colour(scene.picture)
    colour = _colour_options(scene, new_range=scene.output.colour.range)
    text = f"scale=w={width}:h={height}:{colour}:{CHROMA}:{SCALER},format={scene.output.pixel_format}"
    if scene.output.colour.matrix != source.matrix:
        text += (
            f",colorspace=ispace={source.matrix}:iprimaries={source.primaries}:itrc={source.transfer}:irange=tv"
            f":all=bt709:range=tv"
        )
    return text


def pad(scene: SceneGraphInput) -> str | None:
    """Add a black border to frames that are smaller than encoders accept."""
    output = scene.output
    if (output.restored_width, output.restored_height) == (output.width, output.height):
        return None
    return f"pad=w={scene.output.width}:h={scene.output.height}:x=(ow-iw)/4*2:y=(oh-ih)/4*2:color=black"


def repeat_frames(scene: SceneGraphInput) -> str | None:
    """Show each frame twice. The last filter, so that nothing is filtered twice."""
    if not scene.repeats_frames:
        return None
    return f"fps=fps={scene.output.rate}:start_time=0:round=down"


def tag(scene: SceneGraphInput) -> str:
    """Tag the colour of the output, and set times at the output rate."""
    return f"setsar=1,setparams=field_mode=prog:{_tags(scene.output.colour)},{_times_from_numbers(scene.output.rate)}"


def _colour_options(scene: SceneGraphInput, new_range: str | None = None) -> str:
    """Options of scale that keep the matrix, and the range unless a new one is given."""
    colour = source_colour(scene.picture)
    matrices = f"in_color_matrix={colour.matrix}:out_color_matrix={colour.matrix}"
    return f"{matrices}:in_range={colour.range}:out_range={new_range or colour.range}"


def _times_from_numbers(rate: Fraction) -> str:
    return f"settb=expr={rate.denominator}/{rate.numerator},setpts=expr=N"


def _tags(colour: Colour) -> str:
    names = f"color_primaries={colour.primaries}:color_trc={colour.transfer}:colorspace={colour.matrix}"
    return f"range={colour.range}:{names}"
