"""twistmail NOUN VERB: the administrator's side."""
