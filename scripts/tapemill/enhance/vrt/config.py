"""Configuration of a VRT, by the argument names of the official constructor, and its requirements on clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

from tapemill.core.errors import ConfigError, SceneError

# Downscaling factor of each of the seven stages of the body; the stages after them work at full size.
SCALES: Final = (1, 2, 4, 8, 4, 2, 1)
NORM: Final = "LayerNorm(eps=1e-5)"
# Channels of the layers that reconstruct the image from the features.
HEAD_CHANNELS: Final = 64
# SpyNet halves an image five times, so its sides are resized to a multiple of this.
FLOW_MULTIPLE: Final = 32

_OFFICIAL: Final = "use one of VRT's official checkpoints; `snakemake fetch_models` fetches those of config/models.yaml"
_FRAMES: Final = "remove `frames` from this network's step in enhance: chain; then a suitable number is chosen"


@dataclass(frozen=True)
class VrtConfig:
    """Arguments of the constructor. Raises ConfigError if no network can be built from them."""

    upscale: int = 4
    in_chans: int = 3
    out_chans: int = 3
    img_size: Sequence[int] = (6, 64, 64)
    """Frames, rows and columns of the training clips. Only the frames matter, and only if pa_frames is 0."""
    window_size: Sequence[int] = (6, 8, 8)
    """Frames, rows and columns that attend to each other."""
    depths: Sequence[int] = (8, 8, 8, 8, 8, 8, 8, 4, 4, 4, 4, 4, 4)
    """Blocks of each stage; the entries after the seventh are the groups of the last stage. The same in all lists."""
    indep_reconsts: Sequence[int] = (11, 12)
    """Entries of `depths` whose windows are one frame long."""
    embed_dims: Sequence[int] = (120, 120, 120, 120, 120, 120, 120, 180, 180, 180, 180, 180, 180)
    num_heads: Sequence[int] = (6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6)
    mul_attn_ratio: float = 0.75
    """Share of a stage's blocks that have mutual attention."""
    mlp_ratio: float = 2.0
    qkv_bias: bool = True
    qk_scale: float | None = None
    drop_path_rate: float = 0.2
    """For training only, like `use_checkpoint_*` and `no_checkpoint_*`: accepted, without effect."""
    norm_layer: Any = None
    spynet_path: None = None
    pa_frames: int = 2
    """Frames that are warped onto each one, both directions together; 0 makes the network an interpolator."""
    deformable_groups: int = 16
    recal_all_flows: bool = False
    """Without effect, also in the official code."""
    nonblind_denoising: bool = False
    """The clip has a fourth channel, the noise's standard deviation, where 1 is white."""
    use_checkpoint_attn: bool = False
    use_checkpoint_ffn: bool = False
    no_checkpoint_attn_blocks: Sequence[int] = ()
    no_checkpoint_ffn_blocks: Sequence[int] = ()

    def __post_init__(self) -> None:
        _check_lists(self)
        _check_channels(self)
        _check_unsupported(self)
        if self.pa_frames:
            _check_alignment(self)

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> VrtConfig:
        """Build from a mapping. Raises ConfigError for an unknown name."""
        unknown = sorted(set(config) - {field.name for field in fields(cls)})
        if unknown:
            raise ConfigError(f"VRT has no argument {', '.join(map(repr, unknown))}", remedy=_OFFICIAL)
        return cls(**config)

    def as_mapping(self) -> dict[str, Any]:
        """As keyword arguments of the constructor."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @property
    def neighbours(self) -> int:
        """Frames of each direction that are warped onto a frame."""
        return self.pa_frames // 2

    @property
    def channels_in(self) -> int:
        """Channels of the clip."""
        return self.in_chans + self.nonblind_denoising

    @property
    def frames_out(self) -> int | None:
        """Frames of the output; None: as many as the clip."""
        return None if self.pa_frames else self.out_chans // 3

    @property
    def temporal_window(self) -> int:
        """Frames that attend to each other: a clip's length is best a multiple of it."""
        return self.window_size[0]

    @property
    def side_multiple(self) -> int:
        """What a clip's height and width must be multiples of: the body halves them three times."""
        return max(SCALES)

    @property
    def least_sides(self) -> tuple[int, int]:
        """Smallest height and width.

        Mutual attention needs whole windows at an eighth of the size, and SpyNet more than one pixel after five
        halvings.
        """
        depths = zip(self.depths, SCALES, strict=False)
        coarsest = max((scale for depth, scale in depths if self.mutual_blocks(depth)), default=1)
        least = FLOW_MULTIPLE + self.side_multiple if self.pa_frames else self.side_multiple
        sides = (max(least, coarsest * side) for side in self.window_size[1:])
        height, width = (-(-side // self.side_multiple) * self.side_multiple for side in sides)
        return height, width

    @property
    def least_frames(self) -> int:
        """Smallest length of a clip. Without warping the only one."""
        if not self.pa_frames:
            return self.img_size[0]
        return max(2, self.neighbours + 1)

    def mutual_blocks(self, depth: int) -> int:
        """Number of a stage's blocks with mutual attention; they come first."""
        return int(depth * self.mul_attn_ratio)

    def check_clip(self, shape: Sequence[int]) -> None:
        """Raise SceneError unless a clip of this shape (N, D, C, H, W) can be restored.

        Raises ConfigError if no clip can: such a network can be built, for example with the official defaults (120
        channels in 16 groups).
        """
        for width in self.embed_dims[:7] if self.pa_frames else ():
            if (width * self.neighbours) % self.deformable_groups or width % self.neighbours:
                raise ConfigError(
                    f"{width} channels of {self.neighbours} neighbours cannot be shared by {self.deformable_groups} "
                    "deformable groups",
                    remedy=_OFFICIAL,
                )
        if len(shape) != 5 or shape[2] != self.channels_in:
            raise SceneError(
                f"VRT needs clips of shape (N, D, {self.channels_in}, H, W), not {tuple(shape)}", remedy=_FRAMES
            )
        frames, (height, width) = shape[1], shape[3:]
        if frames < self.least_frames or (not self.pa_frames and frames != self.least_frames):
            quantity = "at least" if self.pa_frames else "exactly"
            raise SceneError(f"this VRT needs {quantity} {self.least_frames} frames, not {frames}", remedy=_FRAMES)
        for name, side, least in (("height", height, self.least_sides[0]), ("width", width, self.least_sides[1])):
            if side % self.side_multiple or side < least:
                raise SceneError(
                    f"this VRT needs a {name} that is a multiple of {self.side_multiple} and at least {least}, "
                    f"not {side}",
                    remedy="pad the frames by reflection and crop the result",
                )


def _check_lists(config: VrtConfig) -> None:
    count = len(config.depths)
    if not (count >= 8 and len(config.embed_dims) == len(config.num_heads) == count):
        raise ConfigError(
            f"VRT needs depths, embed_dims and num_heads of one length, at least 8, not of {count}, "
            f"{len(config.embed_dims)} and {len(config.num_heads)}",
            remedy=_OFFICIAL,
        )
    if len(config.window_size) != 3 or len(config.img_size) != 3 or min(config.window_size) < 1:
        raise ConfigError("VRT's window_size and img_size are three numbers: frames, rows, columns", remedy=_OFFICIAL)
    if not set(config.indep_reconsts) <= set(range(7, count)):
        raise ConfigError(
            f"VRT's indep_reconsts are indices 7 to {count - 1} of depths, not {config.indep_reconsts}",
            remedy=_OFFICIAL,
        )


def _check_channels(config: VrtConfig) -> None:
    body, last = tuple(config.embed_dims[:7]), set(config.embed_dims[7:])
    if body != body[::-1] or len(last) != 1:
        raise ConfigError(
            f"VRT's embed_dims must read the same backwards, and end in one width, not {body}, {last}", remedy=_OFFICIAL
        )
    if any(width % 4 for width in body[3:6]):
        raise ConfigError(
            f"VRT's embed_dims 4 to 6 must be multiples of 4: they spread over 2×2 pixels, not {body}", remedy=_OFFICIAL
        )
    for width, heads in zip(config.embed_dims, config.num_heads, strict=True):
        if heads < 1 or width % heads or width % 2:
            raise ConfigError(f"{width} channels cannot be shared by {heads} heads", remedy=_OFFICIAL)


def _check_unsupported(config: VrtConfig) -> None:
    if config.spynet_path is not None:
        raise ConfigError(
            "spynet_path would be a second checkpoint", remedy="remove it: each VRT checkpoint holds its own SpyNet"
        )
    if config.upscale not in {1, 2, 4, 8}:
        raise ConfigError(f"VRT upscales by 1, 2, 4 or 8, not {config.upscale}", remedy=_OFFICIAL)
    if config.in_chans != 3 or (
        config.out_chans != 3 if config.pa_frames else config.out_chans % 3 or not config.out_chans
    ):
        raise ConfigError(
            f"VRT is for RGB, not for {config.in_chans} channels in and {config.out_chans} out", remedy=_OFFICIAL
        )
    if not config.pa_frames and (config.upscale != 1 or config.nonblind_denoising):
        raise ConfigError(
            "a VRT without pa_frames interpolates; it neither upscales nor uses a noise level", remedy=_OFFICIAL
        )
    norm = config.norm_layer
    if norm not in {None, NORM} and getattr(norm, "__name__", "") != "LayerNorm":
        raise ConfigError(f"VRT is built with {NORM}, not {norm!r}", remedy=_OFFICIAL)


def _check_alignment(config: VrtConfig) -> None:
    count, groups = config.neighbours, config.deformable_groups
    if config.pa_frames not in {2, 4, 6}:
        raise ConfigError(f"pa_frames is 0, 2, 4 or 6, not {config.pa_frames}", remedy=_OFFICIAL)
    if groups < 1 or (9 * groups) % count:
        raise ConfigError(f"{groups} deformable groups cannot be shared by {count} neighbours", remedy=_OFFICIAL)
