"""Nothing in this repository's code can execute what it reads: a scan of the syntax trees of all of it.

Each rule is shown to catch what it forbids.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("src", "fuzz", "benchmarks", "docs", "examples", "integrations", ".ci")
FILES = sorted(p for folder in FOLDERS for p in (ROOT / folder).rglob("*.py"))

NEVER = {
    *("eval", "exec", "compile", "__import__", "execfile", "os.system", "os.popen", "pty.spawn", "code.interact"),
    *("commands.getoutput", "subprocess.getoutput", "subprocess.getstatusoutput", "runpy.run_path", "tempfile.mktemp"),
    *(
        "pickle.load",
        "pickle.loads",
        "pickle.Unpickler",
        "cPickle.loads",
        "dill.load",
        "dill.loads",
        "cloudpickle.load",
    ),
    *("cloudpickle.loads", "marshal.load", "marshal.loads", "shelve.open", "joblib.load", "pandas.read_pickle"),
    *("yaml.load", "yaml.load_all", "yaml.full_load", "yaml.unsafe_load", "yaml.UnsafeLoader"),
    *("yaml.FullLoader", "yaml.Loader", "torch.hub.load", "torch.jit.load", "shutil.unpack_archive", "tarfile.open"),
    *("zipfile.ZipFile", "requests.get", "urllib.request.urlopen", "urlopen", "urlretrieve", "ftplib.FTP", "telnetlib"),
}
"""What is not called anywhere, by its dotted name as it is written."""

EXCEPT = {("src/llmconfig_gym/sources/unpickle.py", "pickle.Unpickler"): "it admits three names, none of them its own"}

SETTLED = {
    "torch.load": ("weights_only", True),
    "numpy.load": ("allow_pickle", False),
    "AutoModelForCausalLM.from_pretrained": ("use_safetensors", True),
    "AutoPeftModelForCausalLM.from_pretrained": ("use_safetensors", True),
}
"""What is called with this argument only, and written so, whatever the library's default is this year."""

REFUSED = {"shell": True, "trust_remote_code": True, "verify": False, "allow_pickle": True, "weights_only": False}
"""Arguments that no call has."""


def unsafe(source: str) -> Iterator[str]:
    """Each unsafe name or call in a module, with its line; `import pickle as p` hides nothing."""
    tree = ast.parse(source)
    aliases: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            aliases |= {a.asname: a.name for a in node.names if a.asname}
        elif isinstance(node, ast.ImportFrom) and node.module:
            aliases |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}

    def named(node: ast.AST) -> str:
        head, dot, rest = ast.unparse(node).partition(".")
        return aliases.get(head, head) + dot + rest

    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute) and (found := named(node)) in NEVER:
            yield f"{node.lineno}: {found}"
        if isinstance(node, ast.ImportFrom):
            yield from (f"{node.lineno}: {n}" for a in node.names if (n := f"{node.module}.{a.name}") in NEVER)
        if not isinstance(node, ast.Call):
            continue
        given = {k.arg: k.value.value for k in node.keywords if isinstance(k.value, ast.Constant)}
        for name, value in REFUSED.items():
            if name in given and given[name] == value:
                yield f"{node.lineno}: {name}={value}"
        called = named(node.func).removeprefix("transformers.").removeprefix("peft.")
        if (asked := SETTLED.get(called)) and given.get(asked[0]) != asked[1]:
            yield f"{node.lineno}: {called} without {asked[0]}={asked[1]}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_no_module_can_execute_what_it_reads(path: Path) -> None:
    name = path.relative_to(ROOT).as_posix()
    found = [line for line in unsafe(path.read_text("utf-8")) if (name, line.partition(": ")[2]) not in EXCEPT]
    assert not found, f"{name}: {found}"


def test_every_exception_is_needed() -> None:
    for name, call in EXCEPT:
        assert any(line.endswith(call) for line in unsafe((ROOT / name).read_text("utf-8")))


@pytest.mark.parametrize(
    "planted",
    [
        "eval(text)",
        "exec(text)",
        "f = eval",
        "import os\nos.system('ls')",
        "import pickle\npickle.loads(data)",
        "from pickle import loads\nloads(data)",
        "import pickle\nclass R(pickle.Unpickler): pass",
        "import torch\ntorch.load(path)",
        "import torch\ntorch.load(path, weights_only=False)",
        "import torch\ntorch.load(path, weights_only=flag)",
        "subprocess.run(command, shell=True)",
        "yaml.load(text, Loader=yaml.Loader)",
        "yaml.unsafe_load(text)",
        "import numpy as np\nnp.load(path)",
        "import numpy as np\nnp.load(path, allow_pickle=True)",
        "import pandas as pd\npd.read_pickle(path)",
        "import pickle as p\np.loads(data)",
        "from pickle import loads as safe\nsafe(data)",
        "from torch import load\nload(path)",
        "from urllib.request import urlopen\nurlopen(url)",
        "joblib.load(path)",
        "from transformers import AutoModelForCausalLM\nAutoModelForCausalLM.from_pretrained(path)",
        "from peft import AutoPeftModelForCausalLM\nAutoPeftModelForCausalLM.from_pretrained(path)",
        "AutoTokenizer.from_pretrained(path, trust_remote_code=True)",
        "tarfile.open(path).extractall()",
        "requests.get('http://host/file')",
        "client.get(url, verify=False)",
    ],
)
def test_each_rule_catches_what_it_forbids(planted: str) -> None:
    assert list(unsafe(planted))


@pytest.mark.parametrize(
    "safe",
    [
        "import torch\ntorch.load(path, weights_only=True)",
        "import numpy as np\nnp.load(path, allow_pickle=False)",
        "yaml.safe_load(text)",
        "re.compile(pattern)",
        "model.eval()",
        "subprocess.run(['ls', value])",
    ],
)
def test_what_is_safe_passes(safe: str) -> None:
    assert not list(unsafe(safe))
