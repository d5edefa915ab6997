"""The command line of the researcher (see main.py)."""
