"""How protocols are spelled: bytes to events, responses to bytes; pure."""
