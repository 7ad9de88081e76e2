"""Fixtures of several unit tests."""

import logging

import pytest

from tests.support.doctor import patient

__all__ = ["patient"]


@pytest.fixture
def handlers():
    """Logging as it was before the test: a job script opens its log for the whole process."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield
    for handler in set(root.handlers) - set(before):
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)
