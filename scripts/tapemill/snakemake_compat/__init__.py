"""Every patch of Snakemake's insides, one module a defect.

Nothing else touches an attribute of Snakemake that begins with `_`. Each module names the version, what Snakemake does,
and the upstream report (docs/upstream/). tests/workflow/patches/ has a test for each that fails when it is unnecessary.
"""
