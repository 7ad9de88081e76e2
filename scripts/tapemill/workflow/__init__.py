"""What rules ask while Snakemake plans: tape state, job params, cost model, tape queue."""
