"""Speech for tests: two sentences whose words and times are known, read by espeak-ng, and the tiny model for them."""

from __future__ import annotations

import wave
from pathlib import Path

import av
import numpy as np

from tapemill.subtitles import SubtitlesSettings
from tests.support.project import ROOT

MODEL = ROOT / "resources" / "models" / "demo-en.pt"
LOCK = ROOT / "config" / "models.lock"
SENTENCES = ("We are dancing at the mountains with Grandma.", "Peter is two years old today.")
# Start and end in the recording, in seconds.
SPANS_S = ((0.0, 2.45), (3.45, 5.80))
RATE_HZ = 16_000

SETTINGS = SubtitlesSettings(
    model="demo-en",
    language_scenes=12,
    translate=False,
    vad_threshold=0.5,
    vad_min_speech_s=0.25,
    vad_min_silence_s=0.3,
    vad_pad_s=0.2,
    speech_join_s=0.5,
    prompt="",
    temperatures=[0.0, 0.2, 0.4, 0.6, 0.8, 1.0],
    beam_size=1,
    condition_on_previous_text=False,
    word_timestamps=False,
    no_speech_threshold=0.6,
    logprob_threshold=-1.0,
    compression_ratio_threshold=2.4,
    repeat_limit=4,
    line_characters=42,
    lines=2,
    cue_shortest_s=0.83,
    cue_longest_s=7,
    characters_per_s=20,
    gap_frames=2,
    torch_threads=1,
    seed=0,
)


def recording() -> np.ndarray:
    """Return both sentences with a second of silence between them. shape = (samples,), int16."""
    with av.open(ROOT / "tests" / "unit" / "data" / "spoken.flac") as container:
        return np.concatenate([frame.to_ndarray().ravel() for frame in container.decode(audio=0)]).astype("<i2")


def sentence(number: int) -> np.ndarray:
    """Return one of the sentences. shape = (samples,), int16."""
    start_s, stop_s = SPANS_S[number]
    return recording()[round(start_s * RATE_HZ) : round(stop_s * RATE_HZ)]


def silence(seconds: float) -> np.ndarray:
    """Return silence. shape = (samples,), int16."""
    return np.zeros(round(seconds * RATE_HZ), dtype="<i2")


def write_wav(path: Path, *parts: np.ndarray, rate_hz: int = RATE_HZ) -> Path:
    """Write samples one after the other; return `path`."""
    with wave.open(str(path), "wb") as stream:
        stream.setnchannels(1)
        stream.setsampwidth(2)
        stream.setframerate(rate_hz)
        stream.writeframes(np.concatenate(parts).astype("<i2").tobytes())
    return path


def make_scene(path: Path, samples: np.ndarray) -> None:
    """Write a scene file: 25 small grey frames a second, and the audio."""
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
        video = container.add_stream("ffv1", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio = container.add_stream("pcm_s16le", rate=RATE_HZ)
        audio.layout = "mono"
        grey = av.VideoFrame.from_ndarray(np.full((72, 64), 128, np.uint8), format="yuv420p")
        for number in range(len(samples) * 25 // RATE_HZ):
            grey.pts = number
            container.mux(video.encode(grey))
        frame = av.AudioFrame.from_ndarray(samples[None, :], format="s16", layout="mono")
        frame.rate, frame.pts = RATE_HZ, 0
        container.mux(audio.encode(frame))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))
