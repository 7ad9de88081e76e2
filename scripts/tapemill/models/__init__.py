"""Models by name or file: what there are, which bytes they must have, and how they get here.

`registry` reads what each name means, `lock` which bytes each file must have, `fetching` brings them here and pins
them, `verify` is what jobs ask before they load weights, `speech` knows openai-whisper's models.
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
