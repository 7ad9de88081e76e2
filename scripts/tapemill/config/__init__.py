"""The configuration and the tape sheet, validated by schema."""
