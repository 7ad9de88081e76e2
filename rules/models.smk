"""
Models: downloaded by this rule only.

INPUT    config/models.yaml, config/models.lock, the models named in the config and in config/scenes.tsv
OUTPUT   resources/models/*      checked against the SHA-256 of the lock; run the rule again after adding a model
         config/models.lock      a new entry for each file seen for the first time
"""


rule fetch_models:
    """Download missing models of the config; pin files that were added by hand."""
    localrule: True
    log:
        "logs/fetch_models/models.log",
    params:
        # Looked up for this rule alone: they depend on all tapes.
        speech=lambda _: SETTINGS.models[0],
        networks=lambda _: SETTINGS.models[1],
        lock="config/models.lock",
        folder="resources/models",
    message:
        "Fetching and checking models"
    conda:
        "../envs/cpu.yaml"
    script:
        "../scripts/fetch_models.py"


use rule fetch_models as models with:
    message:
        "The rule models is now called fetch_models; the old name goes on working"
