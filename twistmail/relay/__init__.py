"""Mail on its way to other servers."""
