"""VRT for inference (Liang et al. 2022, arXiv 2201.12288); see the package.

Only imported inside jobs that run a network: it imports torch.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from .cache import BoundedCache
from .chunking import cache_bytes, chunks
from .config import HEAD_CHANNELS, SCALES, VrtConfig
from .layers import FrameConv
from .spynet import Flows, SpyNet, flows_of
from .stages import LastStage, Stage
from .warping import nearest4

# Indices of the upscaling layers in the checkpoints: five modules for each doubling.
MODULES_PER_DOUBLING = 5
# Half of the kernel that reconstructs the interpolated frame.
INTERPOLATION_REACH = 3


class VRT(nn.Module):
    """Network that restores clips. Its state dict has the names and shapes of the official checkpoints.

    Takes the arguments of `VrtConfig`; raises ConfigError if they do not fit together. Weights may be float16 or
    bfloat16 (`half()`); coordinates stay float32, and `spynet.float()` makes the flow network float32 as well.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__()
        self.config = config = VrtConfig.of(arguments)
        self.tables = BoundedCache()
        warped = 8 * config.in_chans if config.pa_frames else 0
        self.conv_first = FrameConv(config.channels_in + warped, config.embed_dims[0])
        if config.pa_frames:
            self.spynet = SpyNet()
        for stage in range(len(SCALES)):
            self.add_module(f"stage{stage + 1}", Stage(config, stage))
        self.stage8 = LastStage(config)
        self.norm = nn.LayerNorm(config.embed_dims[-1])
        self.conv_after_body = nn.Linear(config.embed_dims[-1], config.embed_dims[0])
        self._add_head(config)
        self.register_load_state_dict_post_hook(_clear_cache)  # type: ignore[no-untyped-call]

    def _add_head(self, config: VrtConfig) -> None:
        self.conv_last: nn.Module
        width = config.embed_dims[0]
        if not config.pa_frames:
            self.linear_fuse = nn.Conv2d(width * config.img_size[0], HEAD_CHANNELS, 1)
            self.conv_last = nn.Conv2d(HEAD_CHANNELS, config.out_chans, 2 * INTERPOLATION_REACH + 1)
            return
        if config.upscale > 1:
            self.conv_before_upsample = nn.Sequential(FrameConv(width, HEAD_CHANNELS), nn.LeakyReLU(inplace=True))
            doublings = config.upscale.bit_length() - 1
            layers = [FrameConv(HEAD_CHANNELS, 4 * HEAD_CHANNELS) for _ in range(doublings)]
            layers.append(FrameConv(HEAD_CHANNELS, HEAD_CHANNELS))
            self.upsample = nn.ModuleDict(
                {str(MODULES_PER_DOUBLING * index): layer for index, layer in enumerate(layers)}
            )
            width = HEAD_CHANNELS
        self.conv_last = FrameConv(width, config.out_chans)

    @torch.no_grad()
    def forward(self, clip: torch.Tensor) -> torch.Tensor:
        """Restore (N, D, C, H, W), RGB in 0 to 1, to (N, D, 3, H*upscale, W*upscale), not clamped.

        With `nonblind_denoising` a fourth channel has the noise's standard deviation, where 1 is white. Without
        pa_frames the output is one frame, in the middle of the clip. Raises SceneError for an unsuitable shape.
        """
        self.config.check_clip(clip.shape)
        self.tables.next_pass(cache_bytes(clip.device.type))
        if not self.config.pa_frames:
            return self._interpolate(clip)
        images = clip[:, :, :3]
        flows = flows_of(self.spynet, images, self.config.neighbours)
        features = self._shallow_features(clip, flows)
        self._body(features, flows)
        del flows
        return self._reconstruct(features, images)

    def _shallow_features(self, clip: torch.Tensor, flows: Flows | None) -> torch.Tensor:
        """Shallow features (N, D, H, W, C) of the frames, their warped neighbours and the noise level."""
        count, frames, _, height, width = clip.shape
        weight = self.conv_first.weight
        features = clip.new_empty((count, frames, height, width, len(weight)), dtype=weight.dtype)
        each = weight.shape[1] * height * width * weight.element_size()
        for number in range(count):
            for start, stop in chunks(frames, each, clip.device.type):
                planes = clip[number, start:stop, :3]
                if flows is not None:
                    planes = torch.cat(
                        [
                            planes,
                            _warped_images(clip[number, 1:, :3], flows.backward[0][0][number], start, stop, 0),
                            _warped_images(clip[number, :-1, :3], flows.forward[0][0][number], start, stop, 1),
                            clip[number, start:stop, 3:],
                        ],
                        1,
                    )
                planes = planes.to(weight.dtype, memory_format=torch.channels_last)
                features[number, start:stop] = self.conv_first(planes).permute(0, 2, 3, 1)
        return features

    def _body(self, features: torch.Tensor, flows: Flows | None) -> None:
        """Add the output of the eight stages to the features (N, D, H, W, C) in place.

        Down to an eighth of the size and up again, with skip connections between stages of the same size.
        """
        deeper = features
        skipped: list[torch.Tensor] = []
        for stage, scale in enumerate(SCALES):
            if stage > SCALES.index(max(SCALES)) + 1:
                deeper += skipped.pop()
            level = scale.bit_length() - 1
            backward = flows.backward[level] if flows else ()
            forward = flows.forward[level] if flows else ()
            deeper = self.get_submodule(f"stage{stage + 1}")(deeper, backward, forward, self.tables)
            if stage < SCALES.index(max(SCALES)):
                skipped.append(deeper)
        deeper += skipped.pop()
        deeper = self.stage8(deeper, self.tables)
        flat, source = features.view(-1, features.shape[-1]), deeper.view(-1, deeper.shape[-1])
        for start, stop in chunks(len(flat), source[0].nbytes, flat.device.type):
            flat[start:stop] += self.conv_after_body(self.norm(source[start:stop]))

    def _reconstruct(self, features: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
        """Add the residual of the features (N, D, H, W, C) to the upscaled images: (N, D, 3, H*upscale, W*upscale)."""
        scale = self.config.upscale
        count, frames, _, height, width = images.shape
        restored = images.new_empty((count * frames, 3, height * scale, width * scale))
        planes, images = features.flatten(0, 1).permute(0, 3, 1, 2), images.flatten(0, 1)
        widest = HEAD_CHANNELS * scale**2 if scale > 1 else features.shape[-1]
        for start, stop in chunks(len(planes), widest * height * width * features.element_size(), planes.device.type):
            base = images[start:stop]
            if scale > 1:
                base = functional.interpolate(base, scale_factor=scale, mode="bilinear", align_corners=False)
            torch.add(base, self._residual(planes[start:stop]), out=restored[start:stop])
        return restored.view(count, frames, *restored.shape[1:])

    def _residual(self, planes: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (B, 3, H*upscale, W*upscale)."""
        if self.config.upscale > 1:
            planes = self.conv_before_upsample(planes)
            *doublings, last = self.upsample.values()
            for layer in doublings:
                planes = functional.leaky_relu_(functional.pixel_shuffle(layer(planes), 2), 0.1)
            planes = last(planes)
        result: torch.Tensor = self.conv_last(planes)
        return result

    def _interpolate(self, clip: torch.Tensor) -> torch.Tensor:
        """The frame in the middle of (N, D, 3, H, W)."""
        mean = clip.mean((1, 3, 4), keepdim=True)
        clip = clip - mean
        features = self._shallow_features(clip, None)
        self._body(features, None)
        planes = functional.leaky_relu_(self.linear_fuse(features.permute(0, 1, 4, 2, 3).flatten(1, 2)), 0.2)
        planes = functional.pad(planes, [INTERPOLATION_REACH] * 4, mode="reflect")
        frames: torch.Tensor = self.conv_last(planes)
        return frames.view(len(clip), -1, 3, *clip.shape[3:]) + mean


def _clear_cache(network: VRT, _: object) -> None:
    """Clear position biases of other weights after loading."""
    network.tables.clear()


def _warped_images(sources: torch.Tensor, flow: torch.Tensor, start: int, stop: int, first: int) -> torch.Tensor:
    """The four pixels at the end of the flow, for frames start to stop: (frames, 12, H, W).

    Frame t has entry t - first of sources and flow; zeros where there is none.
    """
    result = sources.new_zeros((stop - start, 4 * sources.shape[1], *sources.shape[2:]))
    begin, end = max(start, first), min(stop, first + len(flow))
    if begin < end:
        chosen = slice(begin - first, end - first)
        result[begin - start : end - start] = nearest4(sources[chosen], flow[chosen])
    return result
