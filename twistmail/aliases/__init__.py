"""Which addresses stand for which others."""
