"""The shared maildir store."""
