"""Certificates from an authority that gives them by itself: ACME (RFC 8555)."""
