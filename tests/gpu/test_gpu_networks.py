"""Networks of the chain on a real GPU, against the CPU."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from tapemill.devices.device import CPU
from tapemill.devices.model_cache import clear
from tapemill.enhance import enhance_scene
from tests.support.media.clips import LOSSLESS, clip_from, facts_of, samples
from tests.support.networks import compact, network, steps, vrt

CODE = """
from pathlib import Path
from enhance_media import facts_of
from tapemill.enhance import EnhanceSettings, enhance_scene
folder, settings = Path(sys.argv[2]), EnhanceSettings(**json.loads(sys.argv[3]))
clip = folder / "scene.mkv"
enhance_scene(
    clip=clip,
    target=folder / "gpu.mkv",
    record=folder / "gpu.json",
    picture=facts_of(clip),
    frames=9,
    settings=settings,
    device=device,
)
tell(json.loads((folder / "gpu.json").read_text())["networks"])
"""


@pytest.mark.parametrize("tile", [None, 128])
@pytest.mark.parametrize("kind", ["frame", "vrt"])
def test_a_scene_restored_on_the_gpu_is_that_of_the_cpu(tmp_path, on_gpu, monkeypatch, kind, tile):
    """Half precision may cost a level or two of 255."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    moving = "testsrc=size=192x144:rate=25,scroll=horizontal=0.01,eq=saturation=0.4:contrast=0.7,format=yuv420p"
    clip = clip_from(tmp_path / "scene.mkv", moving, frames=9)
    made = compact(tmp_path / "net.safetensors", gain=0.3) if kind == "frame" else vrt(tmp_path / "net.pth")
    chain = steps(network(made, kind=kind), "resize")
    settings = replace(LOSSLESS, chain=chain, network_tile_samples=tile)
    (told,) = on_gpu(CODE, str(tmp_path), json.dumps(asdict(settings)))
    assert told["precision"] in {"float16", "float32"}
    enhance_scene(
        clip=clip,
        target=tmp_path / "cpu.mkv",
        record=tmp_path / "cpu.json",
        picture=facts_of(clip),
        frames=9,
        settings=settings,
        device=CPU,
    )
    clear()
    gpu, cpu = (samples(tmp_path / f"{name}.mkv", "yuv420p").astype(int) for name in ("gpu", "cpu"))
    assert np.abs(gpu - cpu).max() <= 3
    assert np.abs(gpu - cpu).mean() < 0.3
