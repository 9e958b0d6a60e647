"""twistmail: an all-in-one mail server as one Twisted application. ARCHITECTURE.md tells how it is laid out."""
