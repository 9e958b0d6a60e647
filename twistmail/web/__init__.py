"""Web pages: what a request and an answer are, templates, live events. Whose pages they are is not known here."""
