"""Life of processes: run id, heartbeat, lock, signals, abort marker. Does not depend on Snakemake."""
