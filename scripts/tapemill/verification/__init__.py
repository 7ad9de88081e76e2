"""Verification of finished tapes against the hashes that were recorded when they were made."""
