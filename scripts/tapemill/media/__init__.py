"""Media files: probing, packets, timelines, checks. The only package that opens media."""
