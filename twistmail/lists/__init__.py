"""Mailing lists: whose they are, who is on them, who may write, and what becomes of what is written. docs/lists.md"""
