"""The command line of the gym (see main.py)."""
