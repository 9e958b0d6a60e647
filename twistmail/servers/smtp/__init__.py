"""The SMTP service: what commands mean, for MX and submission."""
