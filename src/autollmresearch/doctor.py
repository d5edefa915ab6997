"""Doctor: what is installed, what is missing and who brings it, which device, which caches, agents and tables.

Nothing is changed, fetched or repaired, and no secret is read. A check that fails says what to do; only what every
user needs is `core`: without an optional package, a cache or a table, the rest still works.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, packages_distributions, requires, version
from pathlib import Path
from typing import Literal

from llmconfig_gym.catalog import CACHE_VARIABLE, EMBEDDED, SOURCES, cache_dir, load_suite, suite_path
from llmconfig_gym.errors import GymError
from llmconfig_gym.sources.download import MIRROR_VARIABLE

PRODUCT = "autollmresearch"
DEVELOPERS = "dev"
"""The extra that is for working on the project; what it brings is not missed."""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        part: of what it is part: a heading.
        state: `missing` is optional and absent, `broken` is there and unusable, or needed and absent.
        found: a version, a size, a place.
        advice: what to do, where something is to be done.
        core: whether nothing works well without it.
    """

    part: str
    name: str
    state: Literal["ok", "missing", "broken"]
    found: str
    advice: str = ""
    core: bool = False


def healthy(checks: list[Check]) -> bool:
    """Whether everything that is core is in order."""
    return all(c.state == "ok" for c in checks if c.core)


def program() -> Iterator[Check]:
    """This program and the Python that runs it."""
    yield Check("program", PRODUCT, "ok", _version(PRODUCT) or "not installed, run from its source")
    yield Check("program", "python", "ok", f"{platform.python_version()}, {sys.executable}")
    yield Check("program", "system", "ok", platform.platform())


def packages() -> Iterator[Check]:
    """The packages of a plain installation, each imported once, and those of the extras, each looked up."""
    from packaging.requirements import Requirement

    modules = {d.lower(): m for m, ds in packages_distributions().items() for d in ds if not m.startswith("_")}
    brings: dict[str, list[str]] = {}
    ranges: dict[str, Requirement] = {}
    for requirement in map(Requirement, _requirements()):
        extra = str(requirement.marker).partition("extra == ")[2].strip("\"'") if requirement.marker else ""
        if requirement.name == PRODUCT or extra == DEVELOPERS:
            continue
        ranges.setdefault(requirement.name, requirement)
        brings.setdefault(requirement.name, []).append(extra)
    for name, extras in sorted(brings.items(), key=lambda item: (item[1], item[0].lower())):
        core = "" in extras
        part = "core packages" if core else f"extra {', '.join(extras)}"
        install = f"pip install '{PRODUCT}[{extras[0]}]'" if not core else f"pip install '{ranges[name]}'"
        found = _version(name)
        if found is None:
            yield Check(part, name, "broken" if core else "missing", "not installed", install, core)
        elif not ranges[name].specifier.contains(found, prereleases=True):
            yield Check(part, name, "broken", f"{found}, expected {ranges[name].specifier}", install, core)
        elif core and (problem := _import_problem(modules.get(name.lower(), name))):
            yield Check(part, name, "broken", f"{found}, cannot be imported: {problem}", install, core)
        else:
            yield Check(part, name, "ok", found, core=core)


def device() -> Iterator[Check]:
    """What there is to compute on."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = os.environ.get("OMP_NUM_THREADS", "")
    said = f", OMP_NUM_THREADS={threads}" if threads else ""
    yield Check("device", "cpu", "ok", f"{cores} cores{said}")
    if "SC_PHYS_PAGES" in getattr(os, "sysconf_names", {}):
        page = os.sysconf("SC_PAGE_SIZE")
        total, free = (page * os.sysconf(name) for name in ("SC_PHYS_PAGES", "SC_AVPHYS_PAGES"))
        yield Check("device", "memory", "ok", f"{size_text(total)}, {size_text(free)} free")
    if _version("torch") is None:
        yield Check("device", "cuda", "missing", "not looked for without torch", f"pip install '{PRODUCT}[agent]'")
        return
    try:
        import torch

        cards = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
    except Exception as problem:  # a broken installation raises whatever it likes
        yield Check("device", "cuda", "broken", f"torch cannot be used: {problem}", "install torch again")
        return
    yield Check("device", "torch threads", "ok", str(torch.get_num_threads()))
    for i, card in enumerate(cards):
        yield Check("device", f"cuda:{i}", "ok", f"{card.name}, {size_text(card.total_memory)}")
    if not cards:
        yield Check("device", "cuda", "missing", "torch sees no GPU; everything runs on the CPU")


def caches() -> Iterator[Check]:
    """Where downloaded things are kept, and the mirror that stands in for the network."""
    yield _place("public tables", cache_dir(), f"make it writable, or set {CACHE_VARIABLE} to another directory")
    hub = os.environ.get("HF_HUB_CACHE") or Path(os.environ.get("HF_HOME", "~/.cache/huggingface"), "hub")
    yield _place("models of the hub", Path(hub).expanduser(), "make it writable, or set HF_HOME to another directory")
    mirror = os.environ.get(MIRROR_VARIABLE)
    if not mirror:
        yield Check("caches", "mirror", "ok", f"none ({MIRROR_VARIABLE} is not set): tables come from the network")
    elif Path(mirror).is_dir():
        yield Check("caches", "mirror", "ok", mirror)
    else:
        advice = f"set {MIRROR_VARIABLE} to a directory laid out as owner/repo/commit/path, or unset it"
        yield Check("caches", "mirror", "broken", f"{mirror} is no directory", advice)


def suites() -> Iterator[Check]:
    """The embedded suite, which must be whole, and the public tables."""
    for name in (*EMBEDDED, *SOURCES):
        core = name in EMBEDDED
        if not core and not (suite_path(name) / "suite.json").is_file():
            yield Check("suites", name, "missing", "not downloaded", f"llmconfig-gym download {name}")
            continue
        advice = f"pip install --force-reinstall {PRODUCT}" if core else f"llmconfig-gym download {name} --replace"
        try:
            suite = load_suite(name)
            suite.experiment(suite.ids[0])
        except (GymError, OSError) as problem:
            yield Check("suites", name, "broken", str(problem), advice, core)
        else:
            yield Check("suites", name, "ok", f"{len(suite.ids)} experiments", core=core)


def agents() -> Iterator[Check]:
    """The agents that are shipped, and who decides where nobody is named."""
    from autollmresearch.errors import CheckpointProblem
    from autollmresearch.policies.causal_lm import AgentSettings
    from autollmresearch.policies.named import SHIPPED, default_policy

    try:
        AgentSettings.load(SHIPPED)
        yield Check("agents", SHIPPED.name, "ok", _weights(SHIPPED / "model.safetensors"), core=True)
    except (CheckpointProblem, OSError, ValueError, KeyError, TypeError) as problem:
        again = f"pip install --force-reinstall {PRODUCT}"
        yield Check("agents", SHIPPED.name, "broken", f"{problem}", again, core=True)
    yield Check("agents", "decides by default", "ok", default_policy())


PARTS: tuple[Callable[[], Iterator[Check]], ...] = (program, packages, device, caches, suites, agents)
"""What is looked at, in this order."""


def _requirements() -> list[str]:
    """What the installed product says it needs; nothing where it is run from its source."""
    try:
        return requires(PRODUCT) or []
    except PackageNotFoundError:
        return []


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _import_problem(module: str) -> str:
    try:
        import_module(module)
    except Exception as problem:  # a broken package raises whatever it likes
        return f"{type(problem).__name__}: {problem}"
    return ""


def _place(name: str, path: Path, advice: str) -> Check:
    """A cache directory: how large it is, and whether something can be put there."""
    there = next(p for p in (path, *path.absolute().parents) if p.exists())
    if not (there.is_dir() and os.access(there, os.W_OK)):
        return Check("caches", name, "broken", f"{path} cannot be written", advice)
    size = sum(p.stat().st_size for p in path.rglob("*") if p.is_file() and not p.is_symlink())
    return Check("caches", name, "ok", f"{path}, {size_text(size)}" if path.is_dir() else f"{path}, not made yet")


def _weights(path: Path) -> str:
    """How many weights a safetensors file holds. Raises ValueError if it is not whole."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    tensors = [t for name, t in header.items() if name != "__metadata__"]
    count = 0
    for tensor in tensors:
        weights = 1
        for n in tensor["shape"]:
            weights *= n
        count += weights
    if path.stat().st_size != 8 + length + max(t["data_offsets"][1] for t in tensors):
        raise ValueError(f"{path.name} is cut off")
    return f"{count:,} weights, {size_text(path.stat().st_size)}"


def size_text(size: float) -> str:
    """A number of bytes as people read it."""
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
