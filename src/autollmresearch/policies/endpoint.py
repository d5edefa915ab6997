"""A language model behind any OpenAI-compatible server as a policy.

Each state is one chat-completions request with the whole conversation; the states of a batch are asked at once, so many
at a time as `concurrency` says. The server's address and key come from the environment (`OPENAI_BASE_URL`,
`OPENAI_API_KEY`), as for every client of such servers.

What can go wrong is of two kinds. An answer that is cut off, empty or nonsense is the model's own doing: it is told to
the environment, where it costs a trial. A server that cannot be reached, is overloaded, stalls or answers with no chat
completion is asked again after a growing pause; when that does not help, or when it refuses (a wrong key, an unknown
model), `EndpointProblem` is raised and the command can be repeated later: nothing that was finished is lost.

The key is in no message, log, representation or result: it is read from the environment when it is needed, and cut out
of whatever a server says.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import random
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from time import time
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from autollmresearch.dialogue import Messages, Style, conversation, reasoning
from autollmresearch.errors import EndpointProblem
from autollmresearch.policy import Proposal, State, Usage
from llmconfig_gym.errors import need

if TYPE_CHECKING:
    from openai import AsyncOpenAI

T = TypeVar("T")

BASE_URL, KEY = "OPENAI_BASE_URL", "OPENAI_API_KEY"
"""Environment variables that say where the server is, and what it knows us by."""

OPENAI = "https://api.openai.com/v1"
NO_KEY = "none"
"""What is sent where no key is set: servers of one's own want none, the library insists on one."""

LONGEST_PAUSE = 60.0
"""Seconds between two attempts at most, unless the server asks for more."""

MOST_PATIENCE = 600.0
"""Seconds; a server that asks to be left alone for longer is not waited for."""

SECRET = 8
"""Characters from which on a key is a secret: `x` or `EMPTY` are what servers without keys are given."""

SHOWN = 300
"""Characters of what a server says that an error repeats."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EndpointPolicy:
    """A model on a server.

    Attributes:
        model: its name there.
        style: what its prompts show.
        base_url: the server's address; by default what the environment says, else OpenAI's own.
        temperature: None leaves it to the server.
        max_tokens: the most that one answer may have, thoughts included; a longer one is cut off, most likely invalid.
        timeout: seconds for one attempt, from the request to the end of the answer.
        retries: attempts after the first.
        pause: seconds before the second attempt; doubled for each further one, less up to half by chance.
        concurrency: requests at a time.
        read_price, write_price: per million tokens; the currency is yours.
        send_seed: whether requests carry a seed made from the state's, which servers that know the field use.

    Raises:
        MissingExtra: the package `openai` is not installed.
    """

    model: str
    style: Style = field(default_factory=Style)
    base_url: str = ""
    temperature: float | None = None
    max_tokens: int = 4096
    timeout: float = 300.0
    retries: int = 5
    pause: float = 1.0
    concurrency: int = 8
    read_price: float = 0.0
    write_price: float = 0.0
    send_seed: bool = True

    def __post_init__(self) -> None:
        need("openai", "endpoint", "a language model behind a server")

    @property
    def url(self) -> str:
        """The server's address. Raises `EndpointProblem` if it is none."""
        url = self.base_url or os.environ.get(BASE_URL, "").strip() or OPENAI
        if not is_address(url):
            shown = url.rpartition("@")[2]  # a password is not shown
            raise EndpointProblem(f"{shown!r} is no address of a server; expected one such as http://localhost:8000/v1")
        return url

    @property
    def host(self) -> str:
        """The server's name and port, without a user's name, password or path."""
        return urlsplit(self.url).netloc.rpartition("@")[2]

    def identity(self) -> dict[str, str]:
        """What decides its answers beside the options: the model's name and the server.

        Raises:
            EndpointProblem: the environment names no server's address.
        """
        return {"model": self.model, "host": self.host}

    def propose(self, states: Sequence[State]) -> list[Proposal]:
        """One answer per state.

        Raises:
            EndpointProblem: the server refuses or keeps failing.
        """
        messages = [conversation(state, self.style) for state in states]
        seeds = [int(state.rng().integers(2**31)) for state in states]
        return _run(self._ask_all(messages, seeds, self._key()))

    def ask(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Proposal]:
        """The answer to each prompt, outside of the dialogue: as a proposal in the model's own words.

        Raises:
            EndpointProblem: the server refuses or keeps failing.
        """
        return _run(self._ask_all([[{"role": "user", "content": p}] for p in prompts], seeds, self._key()))

    def _key(self) -> str:
        key = os.environ.get(KEY, "").strip()
        if not key and urlsplit(self.url).hostname == urlsplit(OPENAI).hostname:
            raise EndpointProblem(
                f"{KEY} is not set, and {self.host} wants a key; set it, or set {BASE_URL} to the address of a server "
                "of your own, such as http://localhost:8000/v1"
            )
        if not (key.isascii() and key.isprintable()):
            raise EndpointProblem(f"{KEY} holds a character that no key has (a line break, or a letter with an accent)")
        return key or NO_KEY

    async def _ask_all(self, messages: Sequence[Messages], seeds: Sequence[int], key: str) -> list[Proposal]:
        from openai import AsyncOpenAI

        free = asyncio.Semaphore(self.concurrency)
        problems: Sequence[BaseException] = ()
        # Attempts are counted here and not by the library. Its timeout is for each piece of an answer, and some servers
        # send blanks while they think; and it does not repeat what was answered with something else than a completion.
        async with AsyncOpenAI(api_key=key, base_url=self.url, timeout=self.timeout, max_retries=0) as client:
            try:
                async with asyncio.TaskGroup() as group:
                    tasks = [
                        group.create_task(self._ask(client, free, m, s, key))
                        for m, s in zip(messages, seeds, strict=True)
                    ]
            except* EndpointProblem as group_of_problems:
                problems = group_of_problems.exceptions
        if problems:  # raised here, so that it drags along no request with its headers
            raise EndpointProblem(*problems[0].args)
        return [task.result() for task in tasks]

    async def _ask(
        self, client: AsyncOpenAI, free: asyncio.Semaphore, messages: Messages, seed: int, key: str
    ) -> Proposal:
        attempt = 0
        async with free:
            while not isinstance(result := await self._attempt(client, messages, seed), Proposal):
                problem = _hidden(result.what, key)
                wait = self._wait(attempt, result.after)
                attempt += 1
                if not result.again or attempt > self.retries or wait > MOST_PATIENCE:
                    later = f" It wants to be left alone for {wait:.0f} s." if wait > MOST_PATIENCE else ""
                    raise EndpointProblem(
                        f"{self.model} at {self.host} gave no answer (attempts: {attempt}): {problem}.{later} When this"
                        " is mended, repeat the command: it goes on with what is missing"
                    )
                log.warning("%s: %s; asking again in %.1f s", self.host, problem, wait)
                await asyncio.sleep(wait)
        return _without(result, key)

    async def _attempt(self, client: AsyncOpenAI, messages: Messages, seed: int) -> Proposal | _Failure:
        """One request. Whatever goes wrong comes back as data, so that no exception carries a request away."""
        from openai import APIConnectionError, APIStatusError, APITimeoutError, OpenAIError

        try:
            async with asyncio.timeout(self.timeout):
                answer = await client.chat.completions.create(**self._request(messages, seed))
        except (TimeoutError, APITimeoutError):
            return _Failure(f"no answer within {self.timeout:g} s")
        except APIConnectionError as problem:
            return _Failure(f"{problem.__cause__ or problem}".strip() or "the connection broke")
        except APIStatusError as problem:
            code = problem.status_code
            again = (code in (408, 409, 429) or code >= 500) and problem.code != "insufficient_quota"
            return _Failure(problem.message, again, _retry_after(problem.response.headers.get("retry-after")))
        except (OpenAIError, ValueError) as problem:  # a body that is no JSON is a ValueError
            return _Failure(f"its answer cannot be read ({type(problem).__name__})")
        return self._proposal(messages[-1]["content"], answer)

    def _request(self, messages: Messages, seed: int) -> dict[str, Any]:
        # OpenAI's newer models refuse the old name of the limit, which other servers know better.
        limit = "max_completion_tokens" if self.host.endswith("openai.com") else "max_tokens"
        request: dict[str, Any] = {"model": self.model, "messages": messages, limit: self.max_tokens}
        if self.temperature is not None:
            request["temperature"] = self.temperature
        if self.send_seed:
            request["seed"] = seed
        return request

    def _proposal(self, prompt: str, answer: Any) -> Proposal | _Failure:
        """An answer as a proposal. The library checks nothing: any field may be missing or of another kind."""
        try:
            message = answer.choices[0].message
            content = message.content
        except (AttributeError, TypeError, IndexError):
            return _Failure(f"its answer is no chat completion: {answer}")
        text = content if isinstance(content, str) else ""
        # Thoughts that a server keeps apart are under either name: vLLM has changed from the first to the second.
        apart = [getattr(message, name, None) for name in ("reasoning_content", "reasoning")]
        thought = next((t.strip() for t in apart if isinstance(t, str) and t.strip()), "") or reasoning(text)
        read, wrote = (_count(answer, name) for name in ("prompt_tokens", "completion_tokens"))
        cost = (read * self.read_price + wrote * self.write_price) / 1e6
        return Proposal(text, thought, prompt=prompt, usage=Usage(read, wrote, cost))

    def _wait(self, attempt: int, after: float | None) -> float:
        """Seconds before the next attempt: what the server asks for, else a pause that doubles, less some by chance."""
        if after is not None and after > 0:
            return after
        return min(self.pause * 2.0**attempt, LONGEST_PAUSE) * random.uniform(0.5, 1.0)


@dataclass(frozen=True)
class _Failure:
    """Why a request has no answer, whether it is worth asking again, and the seconds that the server asks to wait."""

    what: str
    again: bool = True
    after: float | None = None


def is_address(url: str) -> bool:
    """Whether this can be a server's base URL."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:  # brackets that do not match, a port that is no number
        return False


def _run(work: Coroutine[Any, Any, T]) -> T:
    """The result of asynchronous work, also where a loop is running already, as in a notebook."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        running = False
    else:
        running = True
    if not running:
        return asyncio.run(work)
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def _retry_after(header: str | None) -> float | None:
    """Seconds that `Retry-After` asks for, a number or a date (RFC 9110, section 10.2.3); None if it says neither."""
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(header).timestamp() - time()
        except (ValueError, OverflowError):
            return None
    return seconds if math.isfinite(seconds) else None


def _count(answer: Any, name: str) -> int:
    """Tokens that a server says it counted; 0 where it does not say."""
    count = getattr(getattr(answer, "usage", None), name, None)
    return count if isinstance(count, int) and count > 0 else 0


def _hidden(text: str, key: str) -> str:
    """What a server said, on one line and without the key, should it repeat it. The key goes first: half a key is one
    too."""
    whole = " ".join(_cut_out(text, key).split())
    return whole if len(whole) <= SHOWN else whole[: SHOWN - 3] + "..."


def _without(proposal: Proposal, key: str) -> Proposal:
    """A proposal without the key, should a server put it into an answer."""
    assert isinstance(proposal.config, str)
    text, thought = _cut_out(proposal.config, key), _cut_out(proposal.reasoning, key)
    return Proposal(text, thought, prompt=proposal.prompt, usage=proposal.usage)


def _cut_out(text: str, key: str) -> str:
    return text.replace(key, "[key]") if len(key) >= SECRET else text
