"""One attempt of one job: entry point, retry store, back-off."""
