"""Scenes: find the borders, write them down, cut.

What the Snakefile needs is in `table` and imports nothing heavy; `detection` and `cutting` are imported by their jobs.
"""
