"""Bytes on disk: atomic files, free space, file systems, untrusted text, tables, job records."""
