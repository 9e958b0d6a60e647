"""What is changed when mail leaves by SMTP: senders, and addresses in headers. Mail that stays here is not touched."""
