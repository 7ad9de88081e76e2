"""File names that shells, ffmpeg, Snakemake or YAML might take for something else than a name."""

LONG = "n" * 251 + ".mkv"
HOSTILE = (
    'it\'s "the" tape.mkv',
    "two\nlines\r\tand a tab.mkv",
    "-y -dash.mkv",
    "--help.mkv",
    "%03d %s 100%.mkv",
    "{tape} {} {scene}.mkv",
    "back\\slash\\n.mkv",
    "C:colon.mkv",
    "concat:a.mkv|b.mkv",
    "subfile,,start,0,end,9,,:a.mkv",
    "file:pipe:0.mkv",
    "$(touch pwned) `touch pwned` ;touch pwned;.mkv",
    "~root *?[a-z]!#&.mkv",
    " leading and trailing .mkv",
    "[0:v]null,movie='a'.mkv",
    b"not \xff\xfe UTF-8 \xc3.mkv".decode("utf-8", "surrogateescape"),
    "right \u202e to left.mkv",
    LONG,
)
TITLE = "$(touch pwned) 'a' \"b\" {tape} {} %d <b>c</b> \\N d=e;f#g | --> \U0001f4fc"
