"""Clock of a capture: its frame rate, and the frame index of each time stamp."""
