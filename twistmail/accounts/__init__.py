"""Who has a mailbox here, and whether somebody is who he says."""
