"""Paths of a tape's results, relative to the working folder. Rules write them out, so that each can be read alone.

The patterns are those of the rule catalog, which a test compares with the rule files.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

RESULTS: Final = Path("results")
SCENE_GLOB: Final = "[0-9]" * 7
"""Names of scenes, for `glob`."""

RECIPE: Final = "recipe.json"
CAPTURE_RECORD: Final = "capture.json"
CAPTURE_CHECKSUM: Final = "capture_sha256.json"
SCENE_TABLE: Final = "scenes.tsv"
SCENE_CUT: Final = "scenes/{scene}.mkv"
SPEECH_AUDIO: Final = "audio/{scene}.wav"
TAPE_AUDIO: Final = "sound.mka"
AUDIO_RECORD: Final = "sound.json"
LANGUAGE: Final = "language.json"
SUBTITLES: Final = "subtitles/{scene}.srt"
TRANSLATION: Final = "translated/{scene}.srt"
TAPE_SUBTITLES: Final = "{tape}.srt"
TAPE_TRANSLATION: Final = "{tape}.en.srt"
ENCODER: Final = "encoder.json"
CLIP: Final = "enhanced/{scene}.mkv"
TAPE: Final = "{tape}.{container}"
CONTAINERS: Final = (".mkv", ".mp4")
PROVENANCE: Final = "provenance.json"
REPORT_SAMPLE: Final = "report/sample.json"
TAPE_REPORT: Final = "report/making.html"


@dataclass(frozen=True)
class TapePaths:
    """Paths of one tape's results."""

    folder: Path
    """The tape's folder, named like the tape."""

    @classmethod
    def of(cls, tape: str, results: Path = RESULTS) -> TapePaths:
        """Return the paths of a tape by its id."""
        return cls(results / tape)

    def path(self, pattern: str, *, scene: str = "", container: str = "") -> Path:
        """Return the path of a pattern of this module, or of an output in the rule catalog."""
        return self.folder / pattern.format(tape=self.folder.name, scene=scene, container=container)

    @property
    def capture_record(self) -> Path:
        """What was found in the capture."""
        return self.folder / CAPTURE_RECORD

    @property
    def scene_table(self) -> Path:
        """Scenes of the tape, as frame ranges of the capture."""
        return self.folder / SCENE_TABLE

    @property
    def provenance(self) -> Path:
        """How the tape was made."""
        return self.folder / PROVENANCE

    @property
    def audio_record(self) -> Path:
        """Record of the tape's audio."""
        return self.folder / AUDIO_RECORD

    def tape(self, container: str) -> Path:
        """Return the finished tape."""
        return self.path(TAPE, container=container)

    def clip(self, scene: str) -> Path:
        """Return the enhanced clip of a scene."""
        return self.path(CLIP, scene=scene)

    def clip_record(self, scene: str) -> Path:
        """Return the record of a scene's clip."""
        return self.clip(scene).with_suffix(".json")

    def speech_audio(self, scene: str) -> Path:
        """Return the audio of a scene for recognition."""
        return self.path(SPEECH_AUDIO, scene=scene)

    def subtitles(self, scene: str, *, translated: bool = False) -> Path:
        """Return the subtitles of a scene."""
        return self.path(TRANSLATION if translated else SUBTITLES, scene=scene)

    def subtitle_record(self, scene: str, *, translated: bool = False) -> Path:
        """Return the record of a scene's subtitles."""
        return self.subtitles(scene, translated=translated).with_suffix(".json")
