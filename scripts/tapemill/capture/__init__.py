"""Stage capture: probe and validate what was digitised."""
