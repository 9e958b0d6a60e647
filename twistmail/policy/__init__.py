"""The rules of the house, one stage a module."""
