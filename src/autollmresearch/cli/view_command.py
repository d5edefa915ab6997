"""`view` shows the page of `report` in a browser and keeps it new while trials arrive."""

from __future__ import annotations

import argparse
import sys
from functools import partial

from autollmresearch.cli.report_command import add_runs, page_data
from llmconfig_gym.cli.common import Commands, Parser, add_format, print_json

EPILOG = """examples:
  autollmresearch view big
  autollmresearch view runs/tiny --port 8000 --no-browser

Only this machine can reach it. Ctrl-C stops it; nothing is changed on disk.
"""


def register(commands: Commands) -> None:
    """Add the command."""
    p: Parser = commands.add_parser(
        "view",
        help="watch a study in a browser",
        description="Serve the page of `report` on 127.0.0.1; it follows what happens to the study.",
        epilog=EPILOG,
    )
    add_runs(p)
    p.add_argument("--port", type=int, default=0, help="where to listen (a free one)")
    p.add_argument("--no-browser", dest="browser", action="store_false", help="open no browser")
    add_format(p)
    p.set_defaults(run=run_view)


def run_view(args: argparse.Namespace) -> int:
    import webbrowser

    from autollmresearch.errors import InvalidSettings
    from autollmresearch.report.server import PageServer, serve

    if not 0 <= args.port < 1 << 16:
        raise InvalidSettings(f"--port is between 0 (a free one) and 65535, found {args.port}")
    read = partial(page_data, [args.name], args.storage)
    server = PageServer(args.port, read())
    if args.format == "json":
        print_json({"address": server.address})
    else:
        print(f"{args.name}: {server.address} (Ctrl-C stops)", flush=True)
    if args.browser:
        webbrowser.open(server.address)
    try:
        serve(server, read)
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
    return 0
