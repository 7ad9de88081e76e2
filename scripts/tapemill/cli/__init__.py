"""Commands of `tapemill`: argument parsing and printing only."""
