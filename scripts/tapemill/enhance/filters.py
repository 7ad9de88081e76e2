"""The filter chain of a scene: a list of small pure functions, each one step as an ffmpeg filter string.

The order is fixed, because each step relies on those before it: fields are taken apart before anything looks at
neighbouring lines, noise goes before anything that would sharpen it, and the picture is resampled once, at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from ..facts import FieldOrder, PictureFacts
from ..ffmpeg import BITEXACT_SCALING
from ..media import Colour
from .kernels import convolve_chroma, shift_kernel, unsharp_kernel
from .picture import (
    SMALLEST_DEINTERLACED_SIDE,
    Crop,
    Layout,
    OutputPicture,
    active_filters,
    cropped,
    frame_layout,
    is_rgb,
    output_picture,
    restored_size,
    source_colour,
    working_layout,
)
from .settings import EnhanceSettings, Filters

SCALER = f"flags={BITEXACT_SCALING[1]}"
# Nobody tags chroma location; "left" is what untagged video means.
CHROMA = "in_chroma_loc=left:out_chroma_loc=left"
# hqdn3d reads a strength of exactly 0 as "take the default"; this one changes no sample.
NEXT_TO_NOTHING = 0.0001
# gradfun takes no less.
LEAST_DEBANDING = 0.51


@dataclass(frozen=True)
class Scene:
    """All that the chain of one scene depends on."""

    picture: PictureFacts
    field_order: FieldOrder
    """The scene's own, which may differ from the tape's."""
    settings: EnhanceSettings
    output: OutputPicture
    crop: Crop
    layout: Layout
    """Samples while fields are woven: the capture's own."""
    frame_layout: Layout
    """Samples of the filtered frames: the capture's depth, and no more chroma than the finished clip has."""
    filters: Filters | None
    """None for pictures too small to be filtered."""

    @classmethod
    def of(cls, picture: PictureFacts, field_order: FieldOrder, settings: EnhanceSettings) -> Scene:
        """Derive the rest. Raises ConfigError like `output_picture`."""
        return cls(
            picture=picture,
            field_order=field_order,
            settings=settings,
            output=output_picture(picture, settings),
            crop=cropped(picture, settings),
            layout=working_layout(picture.pixel_format),
            frame_layout=frame_layout(picture, settings),
            filters=active_filters(picture, settings),
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


def filter_chain(scene: Scene) -> list[str]:
    """All steps that this scene needs, in order; joined by commas they are one `-vf`."""
    return [text for step in STEPS if (text := step(scene)) is not None]


def count_frames(scene: Scene) -> str:
    """Times from frame numbers: containers round them, and a rounded time could cost or repeat a frame."""
    return _numbered(scene.picture.rate)


def declare(scene: Scene) -> str:
    """State field order and colour, whatever the file's tags say or leave open."""
    field_mode = {"tff": "tff", "bff": "bff", "progressive": "prog"}[scene.field_order]
    if not scene.deinterlaced:
        field_mode = "prog"
    if is_rgb(scene.picture.pixel_format):
        return f"setparams=field_mode={field_mode}:range=pc:colorspace=gbr"
    return f"setparams=field_mode={field_mode}:chroma_location=left:{_tags(source_colour(scene.picture))}"


def unify(scene: Scene) -> str | None:
    """Bring rare pixel formats to one that all filters take. Never resamples lines of interlaced material."""
    if scene.picture.pixel_format == scene.layout.name:
        return None
    colour = source_colour(scene.picture)
    matrices = f"out_color_matrix={colour.matrix}:out_range={colour.range}"
    if not is_rgb(scene.picture.pixel_format):
        matrices = f"in_color_matrix={colour.matrix}:in_range={colour.range}:{matrices}"
    return f"scale={matrices}:{CHROMA}:{SCALER},format={scene.layout.name},setparams={_tags(colour)}"


def deinterlace(scene: Scene) -> str | None:
    """One progressive frame for each field (bob) or for each frame."""
    if not scene.deinterlaced:
        return None
    mode = "send_field" if scene.output.frames_per_frame == 2 else "send_frame"
    return f"bwdif=mode={mode}:parity={scene.field_order}:deint=all"


def crop(scene: Scene) -> str | None:
    """Cut away borders and head-switching lines."""
    kept = scene.crop
    if (kept.width, kept.height) == (scene.picture.width, scene.picture.height):
        return None
    return f"crop=w={kept.width}:h={kept.height}:x={kept.left}:y={kept.top}:exact=1"


def reduce(scene: Scene) -> str | None:
    """Drop chroma that the finished clip cannot hold before filters spend time on it; of frames, never of fields."""
    if scene.frame_layout == scene.layout:
        return None
    return f"scale={_kept_colour(scene)}:{CHROMA}:{SCALER},format={scene.frame_layout.name}"


def denoise(scene: Scene) -> str | None:
    """Smooth in space and along time, less where there is contrast."""
    filters = scene.filters
    if filters is None:
        return None
    strengths = (
        filters.denoise_luma_spatial,
        filters.denoise_chroma_spatial,
        filters.denoise_luma_temporal,
        filters.denoise_chroma_temporal,
    )
    if not any(strengths):
        return None
    return "hqdn3d=" + ":".join(f"{max(strength, NEXT_TO_NOTHING):g}" for strength in strengths)


def shift_chroma(scene: Scene) -> str | None:
    """Move colour by luma samples and lines; the part of it below one chroma sample is interpolated."""
    if scene.filters is None:
        return None
    steps = []
    whole = {}
    for axis, mode, distance, log2 in (
        ("h", "row", scene.filters.chroma_shift_samples, scene.frame_layout.log2_chroma_width),
        ("v", "column", scene.filters.chroma_shift_lines, scene.frame_layout.log2_chroma_height),
    ):
        samples, rest = divmod(distance, 1 << log2)
        whole[axis] = samples
        if rest:
            steps.append(convolve_chroma(shift_kernel(rest / (1 << log2)), mode))
    if any(whole.values()):
        h, v = whole["h"], whole["v"]
        steps.insert(0, f"chromashift=cbh={h}:cbv={v}:crh={h}:crv={v}:edge=smear")
    return ",".join(steps) or None


def sharpen_chroma(scene: Scene) -> str | None:
    """Gather colour that has bled along the line: sharpen widely, but within what the neighbourhood shows.

    An unsharp mask as wide as the smear steepens the edges. Clamping to the range of the sample and its neighbours left
    and right at that distance keeps it from making halos in the opposite colour, and from raising noise.
    """
    if scene.filters is None or not scene.filters.chroma_bleed:
        return None
    reach = scene.filters.chroma_bleed_samples / (1 << scene.frame_layout.log2_chroma_width)
    steepen = convolve_chroma(unsharp_kernel(reach, scene.filters.chroma_bleed), "row")
    distance = max(1, round(reach * 0.85))
    graph = [
        "split=5[bled][low][high][left][right]",
        f"[bled]{steepen}[steep]",
        f"[left]chromashift=cbh=-{distance}:crh=-{distance},split[left1][left2]",
        f"[right]chromashift=cbh={distance}:crh={distance},split[right1][right2]",
    ]
    for name, mode, number in (("low", "darken", 1), ("high", "lighten", 2)):
        extreme = f"blend=c1_mode={mode}:c2_mode={mode}"
        graph.append(f"[{name}][left{number}]{extreme}[{name}er]")
        graph.append(f"[{name}er][right{number}]{extreme}[{name}est]")
    return ";".join([*graph, "[steep][lowest][highest]maskedclamp=planes=6"])


def deband(scene: Scene) -> str | None:
    """Dissolve steps in smooth areas, which denoising brings out. Deeper than 8 bits there are none to be seen."""
    if scene.filters is None or not scene.filters.deband_levels or scene.frame_layout.depth > 8:
        return None
    return f"gradfun=strength={max(scene.filters.deband_levels, LEAST_DEBANDING):g}"


def sharpen(scene: Scene) -> str | None:
    """Raise local contrast of luma, most where there is least."""
    if scene.filters is None or not scene.filters.sharpen:
        return None
    return f"cas=strength={scene.filters.sharpen:g}:planes=1"


def resize(scene: Scene) -> str:
    """Square pixels, video range, the output's sampling and depth; then BT.709 if the picture outgrew BT.601."""
    width, height = restored_size(scene.picture, scene.settings)
    source = source_colour(scene.picture)
    colour = _kept_colour(scene, new_range=scene.output.colour.range)
    text = f"scale=w={width}:h={height}:{colour}:{CHROMA}:{SCALER},format={scene.output.pixel_format}"
    if scene.output.colour.matrix != source.matrix:
        text += (
            f",colorspace=ispace={source.matrix}:iprimaries={source.primaries}:itrc={source.transfer}:irange=tv"
            f":all=bt709:range=tv"
        )
    return text


def pad(scene: Scene) -> str | None:
    """A black border around pictures that are smaller than encoders take."""
    if restored_size(scene.picture, scene.settings) == (scene.output.width, scene.output.height):
        return None
    return f"pad=w={scene.output.width}:h={scene.output.height}:x=(ow-iw)/4*2:y=(oh-ih)/4*2:color=black"


def double(scene: Scene) -> str | None:
    """Show each frame twice. Last of all, so that nothing is filtered twice."""
    if not scene.doubled:
        return None
    return f"fps=fps={scene.output.rate}:start_time=0:round=down"


def tag(scene: Scene) -> str:
    """Say what the picture is now, and number its frames at the new rate."""
    return f"setsar=1,setparams=field_mode=prog:{_tags(scene.output.colour)},{_numbered(scene.output.rate)}"


STEPS: tuple[Callable[[Scene], str | None], ...] = (
    *(count_frames, declare, unify, deinterlace, crop, reduce),
    *(denoise, shift_chroma, sharpen_chroma, deband, sharpen),
    *(resize, pad, double, tag),
)


def _kept_colour(scene: Scene, new_range: str | None = None) -> str:
    """Options of scale that keep the matrix, and the range unless a new one is given."""
    colour = source_colour(scene.picture)
    matrices = f"in_color_matrix={colour.matrix}:out_color_matrix={colour.matrix}"
    return f"{matrices}:in_range={colour.range}:out_range={new_range or colour.range}"


def _numbered(rate: Fraction) -> str:
    return f"settb=expr={rate.denominator}/{rate.numerator},setpts=expr=N"


def _tags(colour: Colour) -> str:
    names = f"color_primaries={colour.primaries}:color_trc={colour.transfer}:colorspace={colour.matrix}"
    return f"range={colour.range}:{names}"
