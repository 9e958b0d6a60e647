"""IMAP, spelled."""
