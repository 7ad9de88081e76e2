"""Hardware encoders on the lane's GPU."""

import json
import re
from dataclasses import asdict, replace

import pytest

from tapemill.media.packets import frame_count
from tests.support.media.clips import PLAIN, clip_from

NAMES = {"cuda": ("h264_nvenc", "hevc_nvenc"), "xpu": ("h264_qsv", "hevc_qsv", "av1_qsv"), "hip": ()}
# NVIDIA's GPUs for computing alone have decoders, but no encoder (Video Encode and Decode GPU Support Matrix).
WITHOUT_ENCODER = re.compile(r"\b(A100|A30|A800|H100|H200|H800|GH200|B100|B200|GB200)\b")
CODE = """
from pathlib import Path
from enhance_media import facts_of
from tapemill.enhance import EnhanceSettings, choose_encoder, enhance_scene
folder, settings = Path(sys.argv[2]), EnhanceSettings(**json.loads(sys.argv[3]))
clip = folder / "scene.mkv"
choose_encoder(target=folder / "encoder.json", picture=facts_of(clip), settings=settings, device=device)
choice = json.loads((folder / "encoder.json").read_text())
if choice["encoder"] == settings.encoder:
    enhance_scene(
        clip=clip,
        target=folder / "clip.mkv",
        record=folder / "clip.json",
        picture=facts_of(clip),
        frames=25,
        settings=settings,
        device=device,
        encoder_choice=folder / "encoder.json",
    )
tell(choice)
"""


@pytest.mark.parametrize("codec", ["h264", "hevc", "av1"])
def test_the_gpu_encodes(tmp_path, gpu, on_gpu, codec):
    names = [name for name in NAMES[gpu.kind] if name.startswith(f"{codec}_")]
    if not names:
        pytest.skip(f"no {codec} encoder is asked of {gpu.kind} GPUs")
    if WITHOUT_ENCODER.search(gpu.name):
        pytest.skip(f"{gpu.name} has no encoder")
    clip_from(tmp_path / "scene.mkv", "testsrc2=size=720x576:rate=25,format=yuv420p", frames=25)
    choice = on_gpu(CODE, str(tmp_path), json.dumps(asdict(replace(PLAIN, encoder=names[0]))))
    assert choice == {"asked": names[0], "encoder": names[0], "reason": ""}
    assert frame_count(tmp_path / "clip.mkv") == 25
