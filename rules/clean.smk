"""
Clean: delete intermediate files of finished tapes.

INPUT    results/{tape}/ of every tape of the sheet
OUTPUT   none; deletes results/{tape}/enhanced/*.mkv, audio/*.wav, scenes/*.mkv and sound.mka of tapes that are
         finished and newer than all of these
"""


rule clean_tapes:
    """Delete files of finished tapes that can be made again: clips, audio, kept cuts."""
    localrule: True
    log:
        "logs/clean_tapes/clean.log",
    params:
        tapes=list(TAPES),
        container=config["tape"]["container"],
    message:
        "Deleting intermediate files of finished tapes"
    conda:
        "../envs/cpu.yaml"
    script:
        "../scripts/clean_tapes.py"


use rule clean_tapes as clean with:
    message:
        "The rule clean is now called clean_tapes; the old name goes on working"
