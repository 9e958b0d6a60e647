"""POP3: what it means."""
