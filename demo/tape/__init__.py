"""Demo tape: storyboard, drawing, audio, and the degradation of a VHS tape."""
