"""SMTP, spelled: server and client side."""
