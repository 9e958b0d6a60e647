"""POP3, spelled."""
