"""Filters of ffmpeg: the catalog, and the graphs that they form."""
