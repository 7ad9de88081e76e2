"""Containers read byte by byte: recordings joined in a file, and programmes of transport streams."""
