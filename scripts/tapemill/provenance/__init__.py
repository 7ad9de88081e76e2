"""How a tape was made, for whoever has to trust it: `provenance.json`, an RO-Crate, and the comparison of two tapes.

`hashing` reads the capture once; `checkout` knows the code, `working` who did which job, `document` puts together what
records, tables and events say, `sharing` says once what
scenes have in common, `crate` describes it for archives, and `comparing` tells two tapes apart.
"""

from tapemill.capture.checksum import hash_capture

from .document import FORMAT, TapeFiles, Wishes, write_provenance

__all__ = ["FORMAT", "TapeFiles", "Wishes", "hash_capture", "write_provenance"]
