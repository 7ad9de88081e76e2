#!/usr/bin/env bash
# Snakemake runs this once in the environment made from the file of the same name.
set -euo pipefail
python -m pip install --no-deps openai-whisper==20250625
