"""Film in interlaced video: rhythms of fields, and the film frames that they are of."""
