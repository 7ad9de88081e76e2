"""Who is alive: run id, heartbeat, lock, signals, abort marker. Knows nothing of Snakemake."""
