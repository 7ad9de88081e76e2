"""`python -m tapemill doctor`: checks of this machine, folder and settings before a run.

One module per subject; its functions take `CheckOptions` and yield findings. They are listed in `checks.CHECKS` and
loaded one by one, because a package that one of them needs may be missing or broken while the others still have to
report. So at module level nothing here imports packages that may be missing. The doctor leaves no file but the record
of the GPUs, in the user's runtime folder.
"""
