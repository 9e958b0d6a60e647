"""What addresses become when a message comes in (canonical(5) of Postfix); what they become when it leaves is `leaving`."""
