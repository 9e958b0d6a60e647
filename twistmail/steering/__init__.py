"""Seeing and steering the queue: what operators, and users of this machine, are told and may order."""
