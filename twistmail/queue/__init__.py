"""Mail that waits: a durable spool and the runner that takes it out."""
