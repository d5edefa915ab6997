"""Language models by name: `researcher-mini`, `agent:PATH,temperature=0.8`, `endpoint:MODEL,evidence=1` -> a policy.

The path or model is all that stands between the first colon and the first comma, so it may hold anything but a comma:
colons, equals signs, spaces, backslashes. Options follow, `key=value` each. The shipped agent lies in this package, so
after its name there are but options: `researcher-mini:decode=greedy,top=1`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from autollmresearch.dialogue import Style
from autollmresearch.errors import UnknownMethod
from autollmresearch.policies.agent import AgentPolicy, missing_package
from autollmresearch.policies.endpoint import EndpointPolicy, is_address


@dataclass(frozen=True)
class Kind:
    """A kind of option: what its value must be, in words, and how it is read (ValueError if it is anything else)."""

    what: str
    read: Callable[[str], Any]


def _at_least(least: int) -> Kind:
    def read(text: str) -> int:
        if (value := int(text)) < least:
            raise ValueError
        return value

    return Kind(f"a whole number of at least {least}", read)


def _amount(least: float, what: str) -> Kind:
    def read(text: str) -> float:
        value = float(text)
        if not least <= value < math.inf:
            raise ValueError
        return value

    return Kind(what, read)


def _switch(text: str) -> bool:
    return {"1": True, "true": True, "0": False, "false": False}[text.lower()]


def _address(text: str) -> str:
    if not is_address(text) or "@" in text or "?" in text:
        raise ValueError
    return text


COUNT, ZERO_OR_MORE = _at_least(1), _at_least(0)
AT_LEAST_MINUS_ONE = _amount(-1.0, "a number of at least -1")
NOT_NEGATIVE, SECONDS = _amount(0.0, "a number of at least 0"), _amount(1e-3, "a number of seconds")
POSITIVE = _amount(1e-3, "a number of at least 0.001")
SWITCH = Kind("1 or 0", _switch)
DECODE = Kind("sample, greedy or score", lambda text: {d: d for d in ("sample", "greedy", "score")}[text])
ADDRESS = Kind("an address without password, such as http://localhost:8000/v1 (it is kept with results)", _address)
WORD = Kind("a word", str)

MINI = "researcher-mini"
"""The agent that is shipped."""

SHIPPED = Path(__file__).parent.parent / "agents" / MINI
"""Where its checkpoint lies, its model card with it."""

SHOWS = {
    **{"top": ZERO_OR_MORE, "experiments": COUNT, "fidelity": SWITCH},
    **{"evidence": SWITCH, "candidates": COUNT, "trends": SWITCH},
}
"""Options on what a language model is shown: the fields of `dialogue.Style`."""


@dataclass(frozen=True)
class Model:
    """A kind of language model as a method.

    Attributes:
        argument: what follows its name; empty: nothing but options.
        make: from the argument and the options given to a policy.
        options: kinds of the options there are.
    """

    argument: str
    make: Callable[[str, dict[str, Any]], AgentPolicy | EndpointPolicy]
    options: Mapping[str, Kind]


def _agent(path: str, options: dict[str, Any]) -> AgentPolicy | EndpointPolicy:
    return AgentPolicy(str(Path(path).expanduser()) if path.startswith("~") else path, options)


def _endpoint(model: str, options: dict[str, Any]) -> AgentPolicy | EndpointPolicy:
    style = Style(**{name: options.pop(name) for name in SHOWS if name in options})
    return EndpointPolicy(model, style, **options)


def _mini(_: str, options: dict[str, Any]) -> AgentPolicy | EndpointPolicy:
    return AgentPolicy(str(SHIPPED), options)


ASKED = {
    **SHOWS,
    **{"decode": DECODE, "temperature": NOT_NEGATIVE, "calibration": POSITIVE},
    **{"max_new_tokens": COUNT, "context": COUNT, "device": WORD},
}
"""Options on how an agent is asked."""

MODELS: Mapping[str, Model] = {
    MINI: Model("", _mini, ASKED),
    "agent": Model("PATH", _agent, ASKED),
    "endpoint": Model(
        "MODEL",
        _endpoint,
        {
            **SHOWS,
            **{"base_url": ADDRESS, "temperature": NOT_NEGATIVE, "max_tokens": COUNT, "send_seed": SWITCH},
            **{"timeout": SECONDS, "retries": ZERO_OR_MORE, "pause": NOT_NEGATIVE, "concurrency": COUNT},
            **{"read_price": NOT_NEGATIVE, "write_price": NOT_NEGATIVE},
        },
    ),
}
"""Language models as methods: `researcher-mini`, `agent:PATH`, `endpoint:MODEL`."""


def make_model(name: str) -> AgentPolicy | EndpointPolicy:
    """The policy of a name that starts with one of `MODELS`. Nothing is loaded or asked yet.

    Raises:
        UnknownMethod: no such option, or a value of the wrong type; the message names what is known.
        CheckpointProblem: there is no such directory, and it is no hub id.
        MissingExtra: what it needs is not installed.
    """
    base, _, text = name.partition(":")
    model = MODELS[base]
    argument, *items = text.split(",") if model.argument else ("", *filter(None, text.split(",")))
    if model.argument and not argument.strip():
        raise UnknownMethod(f"{name!r} does not say which; expected {base}:{model.argument}, options after a comma")
    return model.make(argument, read_options(name, items, model.options, model.argument))


def read_options(name: str, items: Sequence[str], kinds: Mapping[str, Kind], argument: str) -> dict[str, Any]:
    """The values of `key=value` items of a method's name.

    Args:
        argument: what stands before the first comma (a PATH, a MODEL), for messages; empty if there is none.

    Raises:
        UnknownMethod: no such option, or a value of the wrong type; the message names what is known.
    """
    options: dict[str, Any] = {}
    for item in items:
        key, _, value = item.partition("=")
        if key not in kinds:
            close = get_close_matches(key, kinds, n=1, cutoff=0.5)
            advice = f"did you mean {close[0]!r}? " if close else ""
            ends = f" (the {argument} ends at the first comma)" if argument else ""
            raise UnknownMethod(
                f"{name!r}: no option is called {key!r}; {advice}legal options: {', '.join(kinds)}{ends}"
            )
        try:
            options[key] = kinds[key].read(value)
        except (ValueError, KeyError):
            raise UnknownMethod(f"{name!r}: option {key} must be {kinds[key].what}, found {value!r}") from None
    return options


def default_policy() -> str:
    """Who proposes when nobody is named: the shipped agent, or the analyst where what an agent needs is not there."""
    return "analyst" if missing_package() else MINI


def fallback() -> tuple[str, ...]:
    """What a user should hear of `default_policy`: nothing, unless the shipped agent cannot be asked."""
    package = missing_package()
    if package is None:
        return ()
    needs = f"{MINI}, which proposes by default, needs {package}: pip install 'autollmresearch[agent]'"
    return (f"the analyst proposes; {needs}",)


def decoding(name: str, decode: str) -> str:
    """A method's name with the option that says how it decodes.

    Raises:
        UnknownMethod: the method is no agent, so there is nothing to decode.
    """
    base, _, rest = name.partition(":")
    kept = [part for part in rest.split(",") if part and not part.startswith("decode=")]
    if "decode" not in (MODELS[base].options if base in MODELS else ()):
        raise UnknownMethod(f"{name!r} does not decode; --decode is for {MINI} and agent:PATH")
    return f"{base}:{','.join([*kept, f'decode={decode}'])}"
