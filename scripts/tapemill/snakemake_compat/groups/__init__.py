"""Patches of Snakemake's groups of jobs; imported on a cluster only. Upstream: docs/upstream/groups.md."""
