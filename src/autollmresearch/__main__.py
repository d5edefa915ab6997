"""`python -m autollmresearch` is the command `autollmresearch`."""

from autollmresearch.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
