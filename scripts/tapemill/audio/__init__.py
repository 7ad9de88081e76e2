"""Stage audio: the sound that speech is recognised in, and the sound of the tape."""
