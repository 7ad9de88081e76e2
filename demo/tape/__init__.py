"""The demo tape: storyboard, drawing, sound, and the degradation of a VHS tape."""
