"""Start and end of a run: composes the other packages for Snakemake's hooks."""
