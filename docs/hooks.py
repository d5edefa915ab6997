"""What the site needs beyond MkDocs: pages that stars name, files outside of docs/ that pages link to, the commands.

- An entry of the navigation with a star becomes every page that matches it, in order; there may be none.
- A link that leaves docs/ leads to a page of the site that shows the file: Markdown as it is, all else as code.
- `<!-- commands: PROGRAM -->` becomes the help of every command of a program.
"""

from __future__ import annotations

import argparse
import os
import re
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
SHOWN = "source/"
"""Where files of the repository that are no pages of docs/ stand in the site."""
LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)#\s]+)(?=[)#])")
PROGRAMS = {"llmconfig-gym": "llmconfig_gym.cli.main", "autollmresearch": "autollmresearch.cli.main"}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Write out the stars of the navigation."""
    config.nav = _expanded(config.nav, Path(config.docs_dir))
    return config


def _expanded(entry: Any, docs: Path) -> Any:
    if isinstance(entry, list):
        parts = [_expanded(part, docs) for part in entry]
        return [p for part in parts for p in (part if isinstance(part, list) else [part])]
    if isinstance(entry, dict):
        return {title: _expanded(part, docs) for title, part in entry.items()}
    return sorted(p.relative_to(docs).as_posix() for p in docs.glob(entry)) if "*" in entry else entry


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add what pages link to outside of docs/, and what those files link to."""
    docs = Path(config.docs_dir)
    wanted = [ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md"]
    wanted += [path for f in files.documentation_pages() for path in _outside(docs / f.src_uri, docs)]
    seen: set[Path] = set()
    while wanted:
        if (path := wanted.pop()) in seen:
            continue
        seen.add(path)
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".md":
            wanted += _outside(path, docs)
        else:
            text = f"# {path.relative_to(ROOT).as_posix()}\n\n````{path.suffix[1:]}\n{text}````\n"
        files.append(File.generated(config, _uri(path, docs), content=text))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links that leave docs/ round, and commands into their help."""
    docs = Path(config.docs_dir)
    uri = page.file.src_uri
    here = ROOT / uri.removeprefix(SHOWN) if uri.startswith(SHOWN) else docs / uri

    def turned(link: re.Match[str]) -> str:
        path = (here.parent / link[1]).resolve()
        if not path.exists() or not path.is_relative_to(ROOT):
            return link[0]  # MkDocs says that it leads nowhere
        return os.path.relpath(_uri(path, docs), PurePosixPath(uri).parent)

    markdown = LINK.sub(turned, markdown)
    return re.sub(r"<!-- commands: (\S+) -->", lambda found: _commands(found[1]), markdown)


def _outside(page: Path, docs: Path) -> list[Path]:
    """The files that a page links to and that are not in docs/; a folder stands for its README."""
    found = [(page.parent / link).resolve() for link in LINK.findall(page.read_text(encoding="utf-8"))]
    return [p for p in found if p.is_file() and p.is_relative_to(ROOT) and not p.is_relative_to(docs)]


def _uri(path: Path, docs: Path) -> str:
    """Where the site keeps a file of the repository."""
    if path.is_relative_to(docs):
        return path.relative_to(docs).as_posix()
    name = path.relative_to(ROOT).as_posix()
    return SHOWN + name + ("" if path.suffix == ".md" else ".md")


def _commands(program: str) -> str:
    parser: argparse.ArgumentParser = import_module(PROGRAMS[program]).build_parser()
    os.environ["COLUMNS"] = "100"  # of the help, wherever the site is built
    return "\n\n".join(_helps(parser, 2))


def _helps(parser: argparse.ArgumentParser, level: int) -> list[str]:
    parts = [f"{'#' * level} {parser.prog}\n\n```text\n{parser.format_help()}```"]
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for sub in action.choices.values():
                parts += _helps(sub, min(level + 1, 4))
    return parts
