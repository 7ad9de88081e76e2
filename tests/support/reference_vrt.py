"""VRT written as its description reads: slowly, in whole clips, with loops, and nothing shared with `tapemill`.

Against it the network's answers are checked where there is no recorded one. `sd` is a state dict, `given` the
constructor's arguments, all of them. Clips are (N, C, D, H, W) as in the paper.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

State = Mapping[str, Tensor]
Given = Mapping[str, Any]
Window = Sequence[int]
Sampler = Callable[[Tensor, Tensor, Tensor], Tensor]
Levels = list[list[Tensor]]
"""Flows by distance and scale."""


def plain_vrt(sd: State, given: Given, clip: Tensor) -> Tensor:
    """(N, D, C, H, W) to (N, D, 3, sH, sW)."""
    net = Plain(sd, given)
    return net.interpolate(clip) if given["pa_frames"] == 0 else net.restore(clip)


def normed(sd: State, name: str, x: Tensor) -> Tensor:
    """Layer norm over the last axis."""
    return functional.layer_norm(x, x.shape[-1:], sd[f"{name}.weight"], sd[f"{name}.bias"], 1e-5)


def linear(sd: State, name: str, x: Tensor) -> Tensor:
    """Linear layer over the last axis."""
    return x @ sd[f"{name}.weight"].T + sd.get(f"{name}.bias", 0)


def mlp(sd: State, name: str, x: Tensor) -> Tensor:
    """Gated MLP."""
    hidden = functional.gelu(linear(sd, f"{name}.fc11", x)) * linear(sd, f"{name}.fc12", x)
    return linear(sd, f"{name}.fc2", hidden)


def conv3(sd: State, name: str, x: Tensor) -> Tensor:
    """Convolution of each frame with a kernel of 3 x 3."""
    return functional.conv3d(x, sd[f"{name}.weight"], sd[f"{name}.bias"], padding=(0, 1, 1))


def last(x: Tensor) -> Tensor:
    """Channels last."""
    return x.permute(0, 2, 3, 4, 1)


def first(x: Tensor) -> Tensor:
    """Channels second."""
    return x.permute(0, 4, 1, 2, 3)


def at(plane: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Pixels (C, ...) of plane (C, H, W) at whole coordinates; 0 outside."""
    height, width = plane.shape[1:]
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    return torch.where(inside, plane[:, y.clamp(0, height - 1), x.clamp(0, width - 1)], 0)


def bilinear(plane: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """(C, ...) at any coordinates."""
    top, left = y.floor().long(), x.floor().long()
    below, right = y - top, x - left
    return (
        at(plane, top, left) * (1 - below) * (1 - right)
        + at(plane, top, left + 1) * (1 - below) * right
        + at(plane, top + 1, left) * below * (1 - right)
        + at(plane, top + 1, left + 1) * below * right
    )


def mesh(height: int, width: int) -> tuple[Tensor, ...]:
    """Coordinates of rows and columns."""
    return torch.meshgrid(torch.arange(height).float(), torch.arange(width).float(), indexing="ij")


def warp(images: Tensor, flow: Tensor, how: Sampler = bilinear) -> Tensor:
    """(B, C, H, W) by (B, 2, H, W)."""
    rows, columns = mesh(*images.shape[2:])
    return torch.stack([how(i, rows + f[1], columns + f[0]) for i, f in zip(images, flow, strict=True)])


def clamped(plane: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Bilinear, with coordinates clamped to the plane."""
    height, width = plane.shape[1:]
    return bilinear(plane, y.clamp(0, height - 1), x.clamp(0, width - 1))


def four(plane: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """The four neighbouring pixels, stacked (4 C, ...)."""
    corners = [(y.floor(), x.floor()), (y.ceil(), x.floor()), (y.floor(), x.ceil()), (y.ceil(), x.ceil())]
    return torch.cat([at(plane, row.long(), column.long()) for row, column in corners])


def deformable(x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """One picture: x (C, H, W), offset (G*18, H, W), mask (G*9, H, W)."""
    channels, height, width = x.shape
    groups = offset.shape[0] // 18
    out, seen = weight.shape[:2]
    rows, columns = mesh(height, width)
    result = bias[:, None, None].repeat(1, height, width)
    per_group = channels // groups
    for group, tap in itertools.product(range(groups), range(9)):
        place = group * 9 + tap
        y = rows - 1 + tap // 3 + offset[2 * place]
        column = columns - 1 + tap % 3 + offset[2 * place + 1]
        values = bilinear(x[group * per_group : (group + 1) * per_group], y, column) * mask[place]
        for channel, value in enumerate(values, group * per_group):
            part = channel // seen
            outs = slice(part * out * seen // channels, (part + 1) * out * seen // channels)
            result[outs] += weight[outs, channel % seen, tap // 3, tap % 3, None, None] * value
    return result


class Plain:
    """The network."""

    def __init__(self, sd: State, given: Given) -> None:
        self.sd, self.given = sd, given
        self.count = given["pa_frames"] // 2

    # Flows

    def spynet(self, reference: Tensor, supporting: Tensor) -> list[Tensor]:
        """Flow between pictures (B, 3, H, W), by scale."""
        sd = self.sd
        size = reference.shape[2:]
        big = [-(-side // 32) * 32 for side in size]
        levels = []
        for images in (reference, supporting):
            large = functional.interpolate(images, big, mode="bilinear", align_corners=False)
            pyramid = [(large - sd["spynet.mean"]) / sd["spynet.std"]]
            for _ in range(5):
                pyramid.insert(0, functional.avg_pool2d(pyramid[0], 2, 2))
            levels.append(pyramid)
        coarsest = levels[0][0].shape
        flow = torch.zeros(coarsest[0], 2, coarsest[2] // 2, coarsest[3] // 2)
        flows = []
        for number, (ref, supp) in enumerate(zip(*levels, strict=True)):
            flow = 2 * functional.interpolate(flow, scale_factor=2, mode="bilinear", align_corners=True)
            missing = ref.shape[2] - flow.shape[2], ref.shape[3] - flow.shape[3]
            flow = functional.pad(flow, (0, missing[1], 0, missing[0]), mode="replicate")
            x = torch.cat([ref, warp(supp, flow, clamped), flow], 1)
            for layer in range(0, 10, 2):
                name = f"spynet.basic_module.{number}.basic_module.{layer}"
                x = functional.conv2d(x, sd[f"{name}.weight"], sd[f"{name}.bias"], padding=3)
                x = functional.relu(x) if layer < 8 else x
            flow = flow + x
            flows.append(flow)
        result = []
        for scale, flow in zip((1, 2, 4, 8), flows[:1:-1], strict=True):
            height, width = size[0] // scale, size[1] // scale
            resized = functional.interpolate(flow, (height, width), mode="bilinear", align_corners=False)
            resized[:, 0] *= width / (big[1] // scale)
            resized[:, 1] *= height / (big[0] // scale)
            result.append(resized)
        return result

    def flows(self, images: Tensor) -> tuple[Levels, Levels]:
        """Of one clip (D, 3, H, W): lists by distance of lists by scale, backward and forward."""
        n = len(images)
        backward, forward = [self.spynet(images[:-1], images[1:])], [self.spynet(images[1:], images[:-1])]
        if self.count > 1:
            b, f = backward[0], forward[0]
            backward.append([torch.stack([x[t] + one(x[t + 1], x[t]) for t in range(n - 2)]) for x in b])
            forward.append([torch.stack([x[i] + one(x[i - 1], x[i]) for i in range(1, n - 1)]) for x in f])
        if self.count > 2:
            pairs = zip(backward[0], backward[1], strict=True)
            backward.append([torch.stack([y[t] + one(x[t + 2], y[t]) for t in range(n - 3)]) for x, y in pairs])
            pairs = zip(forward[0], forward[1], strict=True)
            forward.append(
                [torch.stack([y[i - 1] + one(x[i - 2], y[i - 1]) for i in range(2, n - 1)]) for x, y in pairs]
            )
        return backward, forward

    # Attention

    def block(self, name: str, x: Tensor, heads: int, window: Window, shifted: bool) -> Tensor:
        """Block of x (N, C, D, H, W)."""
        z = normed(self.sd, f"{name}.norm1", last(x))
        x = x + first(self.windows(f"{name}.attn", z, heads, window, shifted))
        return x + first(mlp(self.sd, f"{name}.mlp", normed(self.sd, f"{name}.norm2", last(x))))

    def windows(self, name: str, z: Tensor, heads: int, window: Window, shifted: bool) -> Tensor:
        """Attention in windows of z (N, D, H, W, C), shifted or not."""
        size = z.shape[1:4]
        shift = [0 if side <= w or not shifted else w // 2 for side, w in zip(size, window, strict=True)]
        window = [min(side, w) for side, w in zip(size, window, strict=True)]
        spare = [-side % w for side, w in zip(size, window, strict=True)]
        z = functional.pad(z, (0, 0, 0, spare[2], 0, spare[1], 0, spare[0]))
        padded = z.shape[1:4]
        z = z.roll([-s for s in shift], (1, 2, 3))
        labels = torch.zeros(padded)
        ways: list[list[slice]] = [
            [slice(-w), slice(-w, -s), slice(-s, None)] if s else [slice(None)]
            for w, s in zip(window, shift, strict=True)
        ]
        for number, part in enumerate(itertools.product(*ways)):
            labels[part] = number
        places: list[tuple[int | slice, ...]] = []
        tokens, masks = [], []
        for d, h, w in itertools.product(*(range(0, side, step) for side, step in zip(padded, window, strict=True))):
            here = (slice(d, d + window[0]), slice(h, h + window[1]), slice(w, w + window[2]))
            label = labels[here].flatten()
            mask = torch.where(label[:, None] == label[None], 0.0, -100.0) if any(shift) else torch.zeros(1, 1)
            mask = mask.expand(len(label), len(label))
            for sample in range(len(z)):
                places.append((sample, *here))
                tokens.append(z[places[-1]].reshape(len(label), -1))
                masks.append(mask)
        out = torch.empty_like(z)
        done = self.attention(name, torch.stack(tokens), heads, torch.stack(masks)[:, None])
        for place, attended in zip(places, done, strict=True):
            out[place] = attended.view(*window, -1)
        out = out.roll(shift, (1, 2, 3))
        return out[:, : size[0], : size[1], : size[2]]

    def attention(self, name: str, tokens: Tensor, heads: int, mask: Tensor) -> Tensor:
        """Of windows (B, tokens, C), with a mask (B, 1, tokens, tokens)."""
        sd, n = self.sd, tokens.shape[1]
        scale: float = self.given["qk_scale"] or (tokens.shape[-1] // heads) ** -0.5

        def split(qkv: Tensor) -> Tensor:
            return qkv.view(*qkv.shape[:2], 3, heads, -1).permute(2, 0, 3, 1, 4)

        def attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
            return ((q * scale @ k.transpose(2, 3) + bias).softmax(-1) @ v).transpose(1, 2).flatten(2)

        index = sd[f"{name}.relative_position_index"][:n, :n]
        bias = sd[f"{name}.relative_position_bias_table"][index].permute(2, 0, 1)
        q, k, v = split(linear(sd, f"{name}.qkv_self", tokens))
        own = attend(q, k, v, bias + mask)
        if f"{name}.qkv_mut.weight" not in sd:
            return linear(sd, f"{name}.proj", own)
        u = tokens + sd[f"{name}.position_bias"][0].repeat(2, 1)
        q, k, v = split(linear(sd, f"{name}.qkv_mut", u))
        half = n // 2
        spatial = mask[..., :half, :half]
        onto_first = attend(q[:, :, half:], k[:, :, :half], v[:, :, :half], spatial)
        onto_second = attend(q[:, :, :half], k[:, :, half:], v[:, :, half:], spatial)
        both = torch.cat([torch.cat([onto_first, onto_second], 1), own], 2)
        return linear(sd, f"{name}.proj", both)

    def group(self, name: str, x: Tensor, place: int, window: Window) -> Tensor:
        """Blocks of a group, every second one shifted."""
        count = len({key.split(".blocks.")[1].split(".")[0] for key in self.sd if key.startswith(f"{name}.blocks.")})
        for index in range(count):
            x = self.block(f"{name}.blocks.{index}", x, self.given["num_heads"][place], window, index % 2 == 1)
        return x

    # Stages

    def stage(self, number: int, x: Tensor, flows: Sequence[tuple[Levels, Levels]] | None) -> Tensor:
        """Stage 1 to 7."""
        sd, name, way = self.sd, f"stage{number}", "sdddduuu"[number]
        n, c, d, h, w = x.shape
        if way == "d" and number > 1:
            parts = [x[..., hi::2, wj::2] for wj in (0, 1) for hi in (0, 1)]
            x = torch.cat(parts, 1)
        elif way == "u":
            finer = x.new_empty(n, c // 4, d, 2 * h, 2 * w)
            for wj, hi in itertools.product((0, 1), (0, 1)):
                part = wj * 2 + hi
                finer[..., hi::2, wj::2] = x[:, part * (c // 4) : (part + 1) * (c // 4)]
            x = finer
        x = normed(sd, f"{name}.reshape.1", last(x))
        x = first(linear(sd, f"{name}.reshape.2", x) if number > 1 else x)
        window = self.given["window_size"]
        small = (2, *window[1:])
        x = x + first(linear(sd, f"{name}.linear1", last(self.group(f"{name}.residual_group1", x, number - 1, small))))
        x = x + first(linear(sd, f"{name}.linear2", last(self.group(f"{name}.residual_group2", x, number - 1, window))))
        if not self.count or flows is None:
            return x
        scale = (1, 2, 4, 8, 4, 2, 1)[number - 1]
        back, forth = zip(
            *(self.aligned(name, sample, scale, *flow) for sample, flow in zip(x, flows, strict=True)), strict=True
        )
        fused = torch.cat([x, torch.stack(back), torch.stack(forth)], 1)
        return first(mlp(sd, f"{name}.pa_fuse", last(fused)))

    def aligned(self, name: str, x: Tensor, scale: int, backward: Levels, forward: Levels) -> tuple[Tensor, Tensor]:
        """One clip (C, D, H, W): from the frames after, and from those before."""
        n, level = x.shape[1], (1, 2, 4, 8).index(scale)
        zero, still = torch.zeros_like(x[:, 0]), torch.zeros(2, *x.shape[2:])
        back, forth = [zero] * n, [zero] * n
        for t in range(n):
            steps = range(1, self.count + 1)
            if t + 1 < n:
                sources = [x[:, t + j] if t + j < n else zero for j in steps]
                moves = [backward[j - 1][level][t] if t + j < n else still for j in steps]
                back[t] = self.pa_deform(name, x[:, t], sources, moves, scale)
            if t >= 1:
                sources = [x[:, t - j] if t - j >= 0 else zero for j in steps]
                moves = [forward[j - 1][level][t - j] if t - j >= 0 else still for j in steps]
                forth[t] = self.pa_deform(name, x[:, t], sources, moves, scale)
        return torch.stack(back, 1), torch.stack(forth, 1)

    def pa_deform(self, name: str, current: Tensor, sources: list[Tensor], moves: list[Tensor], scale: int) -> Tensor:
        """Parallel alignment of sources to the current picture."""
        sd, name = self.sd, f"{name}.pa_deform"
        warped = [one(source, move) for source, move in zip(sources, moves, strict=True)]
        raw = torch.cat([*warped, current, *moves])[None]
        for layer in (0, 2, 4, 6):
            raw = functional.conv2d(
                raw, sd[f"{name}.conv_offset.{layer}.weight"], sd[f"{name}.conv_offset.{layer}.bias"], padding=1
            )
            raw = functional.leaky_relu(raw, 0.1) if layer < 6 else raw
        a, b, mask = raw[0].chunk(3)
        parts = (10 / scale * torch.cat([a, b]).tanh()).chunk(self.count)
        offset = torch.cat(
            [part + move.flip(0).repeat(len(part) // 2, 1, 1) for part, move in zip(parts, moves, strict=True)]
        )
        return deformable(torch.cat(sources), offset, mask.sigmoid(), sd[f"{name}.weight"], sd[f"{name}.bias"])

    def body(self, x: Tensor, flows: Sequence[tuple[Levels, Levels]] | None) -> Tensor:
        """All stages."""
        x1 = self.stage(1, x, flows)
        x2 = self.stage(2, x1, flows)
        x3 = self.stage(3, x2, flows)
        x4 = self.stage(4, x3, flows)
        y = self.stage(5, x4, flows)
        y = self.stage(6, y + x3, flows)
        y = self.stage(7, y + x2, flows) + x1
        sd = self.sd
        y = first(linear(sd, "stage8.0.2", normed(sd, "stage8.0.1", last(y))))
        for k in range(1, len(self.given["depths"]) - 6):
            window = self.given["window_size"]
            if 6 + k in self.given["indep_reconsts"]:
                window = (1, *window[1:])
            group = self.group(f"stage8.{k}.residual_group", y, 6 + k, window)
            y = y + first(linear(sd, f"stage8.{k}.linear", last(group)))
        return x + first(linear(sd, "conv_after_body", normed(sd, "norm", last(y))))

    # Ends

    def restore(self, clip: Tensor) -> Tensor:
        """Clip with noise map: denoised, deblurred or enlarged."""
        images, noise = clip[:, :, :3], clip[:, :, 3:]
        flows = [self.flows(sample) for sample in images]
        nothing = torch.zeros(len(clip), 1, 12, *clip.shape[3:])
        after = [warp(sample[1:], backward[0][0], four) for sample, (backward, _) in zip(images, flows, strict=True)]
        before = [warp(sample[:-1], forward[0][0], four) for sample, (_, forward) in zip(images, flows, strict=True)]
        neighbours = torch.cat([torch.stack(after), nothing], 1), torch.cat([nothing, torch.stack(before)], 1)
        x = conv3(self.sd, "conv_first", torch.cat([images, *neighbours, noise], 2).transpose(1, 2))
        x = self.body(x, flows)
        scale = self.given["upscale"]
        if scale == 1:
            return conv3(self.sd, "conv_last", x).transpose(1, 2) + images
        x = functional.leaky_relu(conv3(self.sd, "conv_before_upsample.0", x), 0.01)
        place = 0
        for _ in range(scale.bit_length() - 1):
            x = conv3(self.sd, f"upsample.{place}", x).transpose(1, 2)
            x = functional.leaky_relu(functional.pixel_shuffle(x, 2), 0.1).transpose(1, 2)
            place += 5
        x = conv3(self.sd, "conv_last", conv3(self.sd, f"upsample.{place}", x)).transpose(1, 2)
        large = [functional.interpolate(i, scale_factor=scale, mode="bilinear", align_corners=False) for i in images]
        return x + torch.stack(large)

    def interpolate(self, clip: Tensor) -> Tensor:
        """Frames between those of the clip."""
        sd = self.sd
        mean = clip.mean((1, 3, 4), keepdim=True)
        x = self.body(conv3(sd, "conv_first", (clip - mean).transpose(1, 2)), None)
        x = torch.cat(list(x.unbind(2)), 1)
        x = functional.leaky_relu(functional.conv2d(x, sd["linear_fuse.weight"], sd["linear_fuse.bias"]), 0.2)
        x = functional.conv2d(
            functional.pad(x, (3, 3, 3, 3), mode="reflect"), sd["conv_last.weight"], sd["conv_last.bias"]
        )
        return torch.stack(x.split(3, 1), 1) + mean  # type: ignore[no-untyped-call]


def one(image: Tensor, move: Tensor) -> Tensor:
    """Warp one picture."""
    return warp(image[None], move[None])[0]
