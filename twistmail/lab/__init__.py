"""The classroom: three offices, a pretend Internet, and every step of a message to look at."""
