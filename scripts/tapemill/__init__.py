"""Tapemill: restores digitised home-video tapes. The library behind the Snakemake rules, usable without Snakemake."""
