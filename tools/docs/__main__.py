"""`python -m tools.docs`: bring the generated parts of the manual up to date."""

from . import PARTS, update

for part in PARTS:
    update(part)
