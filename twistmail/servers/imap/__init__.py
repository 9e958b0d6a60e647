"""What IMAP commands mean."""
