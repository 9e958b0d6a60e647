"""Mailboxes of other programs: mbox, MMDF, MH and Maildir, read and written with flags and dates."""
