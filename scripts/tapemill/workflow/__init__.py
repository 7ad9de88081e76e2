"""Functions for rules while Snakemake plans: tape state, job params, cost model, tape queue, up-to-date digests."""
