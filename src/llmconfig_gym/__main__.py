"""`python -m llmconfig_gym` is the command `llmconfig-gym`."""

from llmconfig_gym.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
