"""Mailboxes that people have in common: one tree for each user, made of the trees of several accounts."""
