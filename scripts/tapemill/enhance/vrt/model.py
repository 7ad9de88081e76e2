"""VRT (Liang et al. 2022, arXiv 2201.12288), for inference: see the package.

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

# Places of the enlarging layers in the checkpoints: each doubling had five modules there.
MODULES_A_DOUBLING = 5
# Half of the kernel that makes the interpolated picture.
INTERPOLATION_REACH = 3


class VRT(nn.Module):
    """Restores clips. The state dict has the names and shapes of the official checkpoints, tables included.

    Takes the arguments of `VrtConfig`; raises ConfigError if they do not fit together. Weights may be float16 or
    bfloat16 (`half()`); coordinates stay float32, and `spynet.float()` makes the network of the flows float32 as well.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__()
        self.arguments = given = VrtConfig.of(arguments)
        self.tables = BoundedCache()
        warped = 8 * given.in_chans if given.pa_frames else 0
        self.conv_first = FrameConv(given.channels_in + warped, given.embed_dims[0])
        if given.pa_frames:
            self.spynet = SpyNet()
        for place in range(len(SCALES)):
            self.add_module(f"stage{place + 1}", Stage(given, place))
        self.stage8 = LastStage(given)
        self.norm = nn.LayerNorm(given.embed_dims[-1])
        self.conv_after_body = nn.Linear(given.embed_dims[-1], given.embed_dims[0])
        self._add_head(given)
        self.register_load_state_dict_post_hook(_forget_tables)  # type: ignore[no-untyped-call]

    def _add_head(self, given: VrtConfig) -> None:
        self.conv_last: nn.Module
        width = given.embed_dims[0]
        if not given.pa_frames:
            self.linear_fuse = nn.Conv2d(width * given.img_size[0], HEAD_CHANNELS, 1)
            self.conv_last = nn.Conv2d(HEAD_CHANNELS, given.out_chans, 2 * INTERPOLATION_REACH + 1)
            return
        if given.upscale > 1:
            self.conv_before_upsample = nn.Sequential(FrameConv(width, HEAD_CHANNELS), nn.LeakyReLU(inplace=True))
            doublings = given.upscale.bit_length() - 1
            layers = [FrameConv(HEAD_CHANNELS, 4 * HEAD_CHANNELS) for _ in range(doublings)]
            layers.append(FrameConv(HEAD_CHANNELS, HEAD_CHANNELS))
            self.upsample = nn.ModuleDict(
                {str(MODULES_A_DOUBLING * index): layer for index, layer in enumerate(layers)}
            )
            width = HEAD_CHANNELS
        self.conv_last = FrameConv(width, given.out_chans)

    @torch.no_grad()
    def forward(self, clip: torch.Tensor) -> torch.Tensor:
        """Restore (N, D, C, H, W), RGB in 0 to 1, to (N, D, 3, H*upscale, W*upscale); nothing is clamped.

        With `nonblind_denoising` a fourth channel has the noise's standard deviation, where 1 is white. Without
        pa_frames the answer is one frame, in the middle of the clip. Raises SceneError if the clip's shape does not do.
        """
        self.arguments.check_clip(clip.shape)
        self.tables.next_pass(cache_bytes(clip.device.type))
        if not self.arguments.pa_frames:
            return self._interpolate(clip)
        images = clip[:, :, :3]
        flows = flows_of(self.spynet, images, self.arguments.neighbours)
        features = self._first(clip, flows)
        self._body(features, flows)
        del flows
        return self._pictures(features, images)

    def _first(self, clip: torch.Tensor, flows: Flows | None) -> torch.Tensor:
        """Features (N, D, H, W, C) of frames, of their neighbours warped onto them, and of the noise level."""
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
        """Add to the features (N, D, H, W, C), in place, what the eight stages make of them.

        Down to an eighth of the size and up again; each stage on the way up also gets what the stage of its size on the
        way down made.
        """
        deeper = features
        skipped: list[torch.Tensor] = []
        for place, scale in enumerate(SCALES):
            if place > SCALES.index(max(SCALES)) + 1:
                deeper += skipped.pop()
            level = scale.bit_length() - 1
            backward = flows.backward[level] if flows else ()
            forward = flows.forward[level] if flows else ()
            deeper = self.get_submodule(f"stage{place + 1}")(deeper, backward, forward, self.tables)
            if place < SCALES.index(max(SCALES)):
                skipped.append(deeper)
        deeper += skipped.pop()
        deeper = self.stage8(deeper, self.tables)
        flat, source = features.view(-1, features.shape[-1]), deeper.view(-1, deeper.shape[-1])
        for start, stop in chunks(len(flat), source[0].nbytes, flat.device.type):
            flat[start:stop] += self.conv_after_body(self.norm(source[start:stop]))

    def _pictures(self, features: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
        """(N, D, 3, H*upscale, W*upscale): what the features (N, D, H, W, C) say is added to the enlarged images."""
        scale = self.arguments.upscale
        count, frames, _, height, width = images.shape
        restored = images.new_empty((count * frames, 3, height * scale, width * scale))
        planes, images = features.flatten(0, 1).permute(0, 3, 1, 2), images.flatten(0, 1)
        widest = HEAD_CHANNELS * scale**2 if scale > 1 else features.shape[-1]
        for start, stop in chunks(len(planes), widest * height * width * features.element_size(), planes.device.type):
            piece = images[start:stop]
            if scale > 1:
                piece = functional.interpolate(piece, scale_factor=scale, mode="bilinear", align_corners=False)
            torch.add(piece, self._residual(planes[start:stop]), out=restored[start:stop])
        return restored.view(count, frames, *restored.shape[1:])

    def _residual(self, planes: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (B, 3, H*upscale, W*upscale)."""
        if self.arguments.upscale > 1:
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
        features = self._first(clip, None)
        self._body(features, None)
        planes = functional.leaky_relu_(self.linear_fuse(features.permute(0, 1, 4, 2, 3).flatten(1, 2)), 0.2)
        planes = functional.pad(planes, [INTERPOLATION_REACH] * 4, mode="reflect")
        pictures: torch.Tensor = self.conv_last(planes)
        return pictures.view(len(clip), -1, 3, *clip.shape[3:]) + mean


def _forget_tables(network: VRT, _: object) -> None:
    """Position biases of other weights are of no use."""
    network.tables.clear()


def _warped_images(sources: torch.Tensor, flow: torch.Tensor, start: int, stop: int, first: int) -> torch.Tensor:
    """For frames start to stop the four pixels where their flow leads, (frames, 12, H, W).

    Frame t has entry t - first of sources and flow; zeros where there is none.
    """
    result = sources.new_zeros((stop - start, 4 * sources.shape[1], *sources.shape[2:]))
    begin, end = max(start, first), min(stop, first + len(flow))
    if begin < end:
        chosen = slice(begin - first, end - first)
        result[begin - start : end - start] = nearest4(sources[chosen], flow[chosen])
    return result
