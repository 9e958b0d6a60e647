"""Replaceable parts that live in memory: for tests, demos and plugin authors."""
