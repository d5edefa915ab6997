"""The page: its data, plotly.js and the files under `page/` in one HTML file that needs no other and no network.

What a model, a table or a user wrote reaches the page as JSON in an element that is no program, with every `<`
escaped, and the page writes it into the document as text. The content security policy allows the scripts of this
file, by their hashes, and nothing else: no other script, no picture but its own, no request.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from llmconfig_gym.files import write_text

SCRIPTS = ("dom.js", "plots.js", "landscape.js", "parts.js", "report.js")
"""In this order, as one script."""


def write_page(path: Path, data: Mapping[str, Any]) -> Path:
    """Write a page that stands for itself; returns its path."""
    write_text(path, page_text(data))
    return path


def page_text(data: Mapping[str, Any], *, live: bool = False) -> str:
    """The HTML of a page; one that is `live` asks its server for new data, all others ask nobody for anything."""
    return str(
        _template().render(
            title=", ".join(run["name"] for run in data["runs"]),
            policy=policy(live=live),
            style=_style(),
            data=data_text(data),
            live=live,
            plotly=_plotly(),
            script=_script(),
        )
    )


def data_text(data: Mapping[str, Any]) -> str:
    """The data as JSON that no HTML parser can take for anything else."""
    text = json.dumps(_finite(data), allow_nan=False, separators=(",", ":"))  # ASCII: all else is escaped
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def policy(*, live: bool) -> str:
    """The content security policy. plotly.js styles what it draws, so styles are allowed; scripts are by hash."""
    asks = "'self'" if live else "'none'"
    scripts = " ".join(f"'sha256-{_hash(text)}'" for text in (_plotly(), _script()))
    return (
        f"default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; img-src data: blob:; "
        f"connect-src {asks}; base-uri 'none'; form-action 'none'"
    )


def _finite(data: Any) -> Any:
    """NaN and infinity, which JSON lacks, become null."""
    if isinstance(data, float):
        return data if abs(data) < float("inf") else None
    if isinstance(data, Mapping):
        return {k: _finite(v) for k, v in data.items()}
    return [_finite(v) for v in data] if isinstance(data, list | tuple) else data


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def _plotly() -> str:
    """plotly.js as the Python package brings it."""
    from plotly.offline import get_plotlyjs

    text: str = get_plotlyjs()
    return _inline(text)


@cache
def _script() -> str:
    return _inline("\n".join(_read(name) for name in SCRIPTS))


def _inline(script: str) -> str:
    """A script that may stand in HTML: it does not end the element, and has line ends as a parser reads them."""
    return script.replace("\r\n", "\n").replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _style() -> str:
    return _read("report.css")


def _read(name: str) -> str:
    return (files("autollmresearch.report") / "page" / name).read_text(encoding="utf-8")


@cache
def _template() -> Any:
    from jinja2 import Environment, StrictUndefined

    return Environment(autoescape=True, undefined=StrictUndefined).from_string(_read("report.html.jinja"))
