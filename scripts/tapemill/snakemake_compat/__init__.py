"""Every patch of Snakemake's insides, one module a defect."""
