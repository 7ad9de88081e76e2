"""The parts of the manual that are written from the program, so that they cannot disagree with it.

`python -m tools.docs` (`make docs`) writes them into the files; a test fails if one of them is old.
"""

from .generate import PARTS, update

__all__ = ["PARTS", "update"]
