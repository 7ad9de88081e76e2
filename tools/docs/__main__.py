"""`python -m tools.docs`: bring the generated parts of the manual and the generated schemas up to date."""

from tapemill.config.schema import SCHEMAS

from . import PARTS, update
from .record_schemas import write_schemas

for part in PARTS:
    update(part)
write_schemas(SCHEMAS)
