"""Models by name or file: registry, lock file, download, verification.

`registry` resolves names, `lockfile` holds and verifies the SHA-256 of each file, `fetch` downloads and pins them,
`weights_io` reads weights, `whisper_models` knows the sizes of openai-whisper's models.
"""

from .fetch import fetch_models
from .lockfile import LOCK, UNPINNED, ModelFile, read_lock, verify_model
from .registry import FOLDER, NETWORKS, REGISTRY, Description, Kind, Model, find_model, is_file, read_registry
from .whisper_models import ALIASES, smaller_models

__all__ = [
    "ALIASES",
    "FOLDER",
    "LOCK",
    "NETWORKS",
    "REGISTRY",
    "UNPINNED",
    "Description",
    "Kind",
    "Model",
    "ModelFile",
    "fetch_models",
    "find_model",
    "is_file",
    "read_lock",
    "read_registry",
    "smaller_models",
    "verify_model",
]
