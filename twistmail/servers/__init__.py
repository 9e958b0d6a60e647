"""What requests mean; one pump that moves bytes."""
