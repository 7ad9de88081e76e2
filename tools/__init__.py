"""Tools of those who change Tapemill."""
