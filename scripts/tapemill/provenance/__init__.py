"""Provenance of a tape: `provenance.json`, an RO-Crate for archives, and the comparison of two tapes.

`model` has the types of the document. `document` builds it from `scene_records` (the records of the scenes),
`run_history` (jobs, from the events) and `code_version`; `json_layout` formats it. `load` reads it, in older formats
through `format_2`; `compare` compares two tapes, and `ro_crate` describes one for archives.
"""

from .document import Request, TapeFiles, write_provenance
from .model import FORMAT

__all__ = ["FORMAT", "Request", "TapeFiles", "write_provenance"]
