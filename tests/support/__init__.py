"""Helpers of the tests: projects, captures, stand-ins, readers of pages."""
