"""Sound: the tape's track, and speech for the recogniser. Import the modules; nothing is loaded from here."""
