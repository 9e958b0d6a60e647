"""Copies of the mail, made while the server runs: create, verify, restore, prune."""
