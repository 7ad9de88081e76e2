import itertools
import math

import pytest
import torch

from tapemill.enhance.vrt import window_partition
from tapemill.enhance.vrt.attention import attend
from tapemill.enhance.vrt.cache import BoundedCache

SIZES = [(6, 8, 8), (7, 9, 10), (4, 8, 12), (2, 8, 4), (12, 16, 8), (1, 5, 6)]
CPU = torch.device("cpu")


@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize("window", [(2, 4, 4), (6, 4, 4), (6, 3, 5), (1, 4, 4)])
@pytest.mark.parametrize("size", SIZES)
def test_windows_and_masks_are_those_of_the_rolled_and_padded_clip(size, window, shifted):
    plan = window_partition.plan_windows(size, window, shifted, CPU)
    used = [min(pair) for pair in zip(size, window, strict=True)]
    shift = [w // 2 if shifted and side > w else 0 for side, w in zip(size, window, strict=True)]
    padded = [-(-side // w) * w for side, w in zip(size, used, strict=True)]
    tokens = torch.full(padded, -1)
    tokens[: size[0], : size[1], : size[2]] = torch.arange(math.prod(size)).view(size)
    tokens = tokens.roll([-s for s in shift], (0, 1, 2))
    labels = torch.zeros(padded)
    ways = [
        [slice(-w), slice(-w, -s), slice(-s, None)] if s else [slice(None)] for w, s in zip(used, shift, strict=True)
    ]
    for label, place in enumerate(itertools.product(*ways)):
        labels[place] = label
    expected = {}
    for corner in itertools.product(*(range(0, side, w) for side, w in zip(padded, used, strict=True))):
        here = tuple(slice(at, at + w) for at, w in zip(corner, used, strict=True))
        label = labels[here].flatten()
        expected[tuple(tokens[here].flatten().tolist())] = torch.where(label[:, None] == label, 0.0, -100.0)
    rows = plan.rows if plan.padding is None else plan.rows.masked_fill(plan.padding[:, 0], -1)
    found = {}
    for kind in plan.kinds:
        mask = window_partition.region_mask(plan.window, plan.shift, kind.wrapped)
        for window_rows in rows.view(plan.windows, plan.tokens)[kind.start : kind.stop]:
            found[tuple(window_rows.tolist())] = mask
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], expected[key]) for key in expected)
    if plan.padding is not None:
        assert sorted(rows[plan.inside].tolist()) == list(range(math.prod(size)))
        assert plan.inside_before[-1] == math.prod(size)


def test_relative_index_and_position_encoding():
    window = (2, 3, 4)
    index = window_partition.relative_index(window)
    places = list(itertools.product(*map(range, window)))
    for (a, q), (b, k) in itertools.product(enumerate(places), repeat=2):
        d, h, w = (x - y for x, y in zip(q, k, strict=True))
        assert index[a, b] == ((d + 1) * 5 + h + 2) * 7 + w + 3
    height, width, channels = 3, 4, 12
    encoding = window_partition.position_encoding(height, width, channels)
    assert encoding.shape == (1, 12, 12)
    for row, column, feature in itertools.product(range(height), range(width), range(channels)):
        place, length = (row + 1, height) if feature < 6 else (column + 1, width)
        i = feature % 6
        angle = place / (length + 1e-6) * 2 * math.pi / 10000 ** (2 * (i // 2) / 6)
        wave = math.cos(angle) if i % 2 else math.sin(angle)
        assert encoding[0, row * width + column, feature].item() == pytest.approx(wave, abs=1e-5)


@pytest.mark.parametrize("bias", [None, torch.randn(1, 2, 7, 7)])
def test_attention_with_filled_up_heads_is_the_same(bias):
    query, key, value = torch.randn(3, 5, 2, 7, 6).unbind(0)
    weights = query @ key.transpose(2, 3) * 0.3
    expected = ((weights if bias is None else weights + bias).softmax(-1) @ value).transpose(1, 2).flatten(2)
    for multiple in (1, 8):
        torch.testing.assert_close(attend(query, key, value, bias, 0.3, multiple), expected)


def test_tables_are_made_once_and_kept_up_to_a_limit():
    made = []

    def table(key, elements=100):
        return tables.tensor(key, lambda: made.append(key) or torch.zeros(elements))

    tables = BoundedCache()
    for _ in range(2):
        tables.next_pass(1000)
        for key in "abc":
            table(key)
    # c never found room, as a and b are used in every pass; they did not have to make way for it either.
    assert made == ["a", "b", "c", "c"]
    assert tables.kept_bytes == 800
    tables.next_pass(1000)
    table("d")
    assert tables.kept_bytes == 800
    table("b")
    assert made == ["a", "b", "c", "c", "d"]
    table("e", 1000)
    table("e", 1000)
    assert made[-2:] == ["e", "e"]
    tables.clear()
    assert tables.kept_bytes == 0
