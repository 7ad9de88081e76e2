"""Errors, exact time, rules, job warnings, progress. Imports the standard library only."""
