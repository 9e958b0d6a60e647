"""The configuration file: reading it, checking it, explaining it."""
