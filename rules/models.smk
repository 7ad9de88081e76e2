"""
Models: fetched by this rule, and by no other.

INPUT    config/models.yaml, config/models.lock, the models named in the config and in config/scenes.tsv
OUTPUT   resources/models/*      checked against the SHA-256 of the lock; run it again whenever a model is added
         config/models.lock      a new entry for each file that was seen for the first time
"""


rule fetch_models:
    """Fetch what the config asks for and is not there yet; pin what was dropped in by hand."""
    localrule: True
    log:
        "logs/fetch_models/models.log",
    params:
        speech=[config["subtitles"]["model"]],
        networks=ENHANCE.models,
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
