"""Restoration networks: loading, memory planning, tiled inference."""
