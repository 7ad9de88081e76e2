"""GPUs: kinds, visibility, memory, model cache. The only package that asks a driver."""
