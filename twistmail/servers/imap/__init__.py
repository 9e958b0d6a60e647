"""What IMAP commands mean: one session class, and a module for each family of commands."""
