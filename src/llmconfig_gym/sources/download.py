"""Downloading the public tables: every file from a pinned commit, over https, checked against its SHA-256.

Nothing of these tables is in this project's repository: some state no licence, one is non-commercial. `fetch` brings
the files into the cache, file by file, so that an interrupted download goes on where it stopped; `build` turns
them into a suite there. `AUTOLLMRESEARCH_MIRROR=DIR` reads `DIR/owner/repo/commit/path` instead of the network.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from llmconfig_gym.catalog import SOURCES, cache_dir, suite_path
from llmconfig_gym.errors import (
    ChecksumMismatch,
    SourceFormatError,
    SourceUnavailable,
    SuiteFormatError,
    unknown_name,
)
from llmconfig_gym.files import is_inside
from llmconfig_gym.suite import Card, Suite

if TYPE_CHECKING:
    import requests

HOST = "raw.githubusercontent.com"
MIRROR_VARIABLE = "AUTOLLMRESEARCH_MIRROR"
RETRIES = 3
_SHA256 = re.compile("[0-9a-f]{64}")
TIMEOUT = 30.0
"""Seconds without a byte after which an attempt is given up."""


@dataclass(frozen=True)
class Origin:
    """A public repository at one commit."""

    owner: str
    repo: str
    commit: str

    @property
    def folder(self) -> str:
        """`owner/repo/commit`: the layout of the cache, of a mirror and of the upstream's addresses."""
        return f"{self.owner}/{self.repo}/{self.commit}"

    @property
    def address(self) -> str:
        """Where the files are, with a slash at the end."""
        return f"https://{HOST}/{self.folder}/"


class Source(Protocol):
    """What a module of this package offers."""

    ORIGIN: Origin
    FILES: Mapping[str, str]
    CARD: Card

    def make(self, paths: Mapping[str, Path]) -> Suite:
        """The suite, from the local path of each of `FILES`."""


def source(name: str) -> Source:
    """The module of a public table. Raises `UnknownName` with suggestions."""
    if name not in SOURCES:
        raise unknown_name("source", name, SOURCES)
    return cast(Source, import_module(f"llmconfig_gym.sources.{name}"))


def build(name: str, *, progress: bool = True, replace: bool = False) -> Path:
    """Fetch a public table and write it into the cache as a suite, whole or not at all.

    A suite made by the same maker (`Card.maker`) is left alone unless `replace`; downloads are kept either way.

    Returns:
        The suite's directory.

    Raises:
        UnknownName: there is no such source.
        SourceUnavailable: a file can neither be fetched nor read from the mirror.
        ChecksumMismatch: a file is not the one this version was made for.
        SourceFormatError, UnsafePickle: a file has the right name but not the right content.
    """
    chosen, target = source(name), suite_path(name)
    if replace or not _is_made(target, chosen.CARD.maker):
        suite = chosen.make(fetch(chosen.ORIGIN, chosen.FILES, progress=progress))
        suite.save(target, replace=True)
    return target


def _is_made(target: Path, maker: str) -> bool:
    """Whether a whole suite of this maker is there; anything damaged is made anew."""
    try:
        suite = Suite.load(target)
    except SuiteFormatError:
        return False
    tables = len(list((target / "tables").glob("*.parquet")))
    return suite.card.maker == maker and tables == len(suite.ids)


def fetch(origin: Origin, files: Mapping[str, str], *, progress: bool = True) -> dict[str, Path]:
    """Local paths of `files` (path -> SHA-256), from the mirror or, where not fetched before, from the network.

    Nothing is fetched, or read from a mirror, whose hash is not pinned, or that is not asked for over https.

    Args:
        origin: repository and commit.
        files: SHA-256 by path inside the repository.
        progress: show a progress bar on stderr (if that is a terminal).

    Raises:
        SourceUnavailable: offline, not found, a mirror that lacks a file, or a cache that cannot be written.
        ChecksumMismatch: what came is not what was expected.
        SourceFormatError: an entry of `files` has no SHA-256, leads out of its place, or is not fetched over https.
    """
    for path, sha256 in files.items():
        if not (origin.address.startswith("https://") and is_inside(path) and _SHA256.fullmatch(sha256)):
            raise SourceFormatError(
                f"{origin.address}{path} with SHA-256 {sha256 or '(none)'} is not fetched; expected an https "
                "address, a path inside the repository and a hash of 64 digits: mend the source's FILES"
            )
    from tqdm import tqdm

    mirror = os.environ.get(MIRROR_VARIABLE)
    root = (Path(mirror) if mirror else cache_dir() / "downloads") / origin.folder
    bar = tqdm(files.items(), desc=origin.repo, unit="file", disable=None if progress else True)
    paths = {}
    for path, sha256 in bar:
        paths[path] = root / path
        if mirror:
            _check_mirrored(root / path, sha256)
        elif not (root / path).is_file() or _sha256(root / path) != sha256:
            _download(origin, path, sha256, root)
    return paths


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_mirrored(path: Path, sha256: str) -> None:
    try:
        found = _sha256(path)
    except OSError as problem:
        raise SourceUnavailable(
            f"{path} cannot be read ({problem.strerror}); {MIRROR_VARIABLE} must name a directory laid out as "
            "owner/repo/commit/path; put the file there, or unset the variable to fetch it from the network"
        ) from None
    if found != sha256:
        raise ChecksumMismatch(
            f"{path} has SHA-256 {found}, expected {sha256}; the mirror's copy is damaged or of another "
            "version: replace it"
        )


def _download(origin: Origin, path: str, sha256: str, root: Path) -> None:
    """One file through pooch: to a temporary name, checked, then moved; transfer errors are retried."""
    import pooch
    import requests

    url = origin.address + path
    registry = {path: f"sha256:{sha256}"}
    shelf = pooch.create(path=root, base_url=origin.address, registry=registry, retry_if_failed=RETRIES)
    try:
        with _quiet(pooch.get_logger()):
            shelf.fetch(path, downloader=_fetch_checked(url, sha256))
    except requests.RequestException as problem:
        status = getattr(problem.response, "status_code", None)
        reason = f"{HOST} answered {status}" if status else f"{HOST} could not be reached: {type(problem).__name__}"
        raise SourceUnavailable(
            f"{url} could not be fetched ({reason}); check the network, or set {MIRROR_VARIABLE} to a directory that "
            f"holds {origin.folder}/{path}"
        ) from None
    except OSError as problem:
        raise SourceUnavailable(
            f"{root / path} cannot be written ({problem.strerror or problem}); make room or rights there, or set "
            "AUTOLLMRESEARCH_CACHE to another directory"
        ) from None


def _fetch_checked(url: str, sha256: str) -> Any:
    """A downloader for pooch that says in this project's words what a wrong file is."""
    import pooch

    https = pooch.HTTPDownloader(timeout=TIMEOUT, hooks={"response": _https_only})

    def download(address: str, output: str, shelf: Any) -> None:
        https(address, output, shelf)
        found = _sha256(Path(output))
        if found != sha256:
            raise ChecksumMismatch(
                f"{url} has SHA-256 {found}, expected {sha256}; a proxy or the upstream changed the file: try another "
                f"network, or set {MIRROR_VARIABLE} to a directory with a good copy. Nothing was kept"
            )

    return download


def _https_only(response: requests.Response, *_: object, **__: object) -> None:
    """Refuse to be redirected away from https."""
    import requests

    target = response.headers.get("location", "")
    if response.is_redirect and ":" in target.split("/")[0] and not target.lower().startswith("https:"):
        raise requests.exceptions.InvalidSchema(f"{response.url} redirects to {target}", response=response)


@contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    """Hush the fetching library: one progress bar is enough."""
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)
