"""What all tests share: Ctrl-C works in them, however they were started."""

import signal


def pytest_configure() -> None:
    """A shell starts what it puts in the background with SIGINT ignored, and children inherit that: undo it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
