"""The ways in which programs keep passwords: how each is read, compared and made. `..passwords` is the door to them."""
