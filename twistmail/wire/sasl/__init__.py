"""SASL (RFC 4422), the server's side: exchanges in each mechanism, and how their octets are spelled."""
