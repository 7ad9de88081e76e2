"""Stand-ins for hardware and programs, at the lowest level possible."""
