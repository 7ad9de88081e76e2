"""`python -m tapemill doctor`: what this machine, this folder and these settings have for a run, and what they lack.

One module a subject; each has functions that take what the command line asks (`Asked`) and yield findings. They are
listed in `checks.CHECKS`, and loaded one by one: what is missing or broken on a machine may be a package that one of
them needs, and the others have to be told all the same. So nothing here imports more than Python's own library at its
top. Nothing that stays is written but the record of the cards, in the user's runtime folder.
"""
