"""
Clean: give back the room of what finished tapes need no more.

INPUT    results/{tape}/ of every tape of the sheet
OUTPUT   nothing; removed are results/{tape}/enhanced/*.mkv, audio/*.wav, scenes/*.mkv and sound.mka of tapes that are
         finished and newer than all of these
"""


rule clean_tapes:
    """Remove what can be made again from finished tapes: clips, sound, kept cuts."""
    localrule: True
    log:
        "logs/clean_tapes/clean.log",
    params:
        tapes=list(TAPES),
        container=config["tape"]["container"],
    message:
        "Cleaning up after finished tapes"
    conda:
        "../envs/cpu.yaml"
    script:
        "../scripts/clean_tapes.py"


use rule clean_tapes as clean with:
    message:
        "The rule clean is now called clean_tapes; the old name goes on working"
