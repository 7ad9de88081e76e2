"""Training recipes of the demo's models."""
