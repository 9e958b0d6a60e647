"""The store in which a mailbox is one file: mbox (RFC 4155), shared with mutt, procmail and every other program that locks it."""
