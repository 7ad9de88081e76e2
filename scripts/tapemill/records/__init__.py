"""Records that jobs write beside their results: what was done, with which settings and programs.

Equal work makes equal records, on any machine. Each is a frozen dataclass (`storage.typed_json`), and its JSON schema
in config/schemas is generated from it (`make docs`): `clip` for `enhanced/{scene}.json`, `subtitles` for
`subtitles/{scene}.json` and `translated/{scene}.json`, `audio` for `sound.json`. The model of
`capture.json` is `media.capture_info`.
`job_records` reads the records of a tape, `tape_tags` makes and reads the tags of its file.
"""
