"""Media whose content is known: frame codes, beeps, damage, speech."""
