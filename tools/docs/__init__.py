"""Generator of the parts of the manual that are derived from the program, so that both agree.

`python -m tools.docs` (`make docs`) writes them into the files; a test fails if one of them is out of date.
"""

from .generate import PARTS, update

__all__ = ["PARTS", "update"]
