"""Who decides: policies that are more than a baseline."""
