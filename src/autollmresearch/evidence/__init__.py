"""What cheaper runs say."""
