"""Endpoint: what is asked, what an answer becomes, and every way in which a server can fail. The key is never told."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from email.utils import formatdate
from typing import Any

import pytest

from autollmresearch.dialogue import Style, conversation
from autollmresearch.episode import run_episodes
from autollmresearch.errors import EndpointProblem
from autollmresearch.evidence.records import Problem
from autollmresearch.policies import endpoint
from autollmresearch.policies.endpoint import EndpointPolicy, _retry_after
from autollmresearch.policy import State, Usage
from llmconfig_gym.errors import MissingExtra
from llmconfig_gym.experiment import Experiment, Outcome

GOOD = '<think>small is fine</think>\n<config>{"x": 2}</config>'
CONFIG = '<config>{"x": 2}</config>'
Says = Callable[..., dict[str, Any]]
POLICY = EndpointPolicy("m", timeout=20.0, retries=2, pause=0.0)
TOLD = Outcome("measured", {"x": 2}, 2.0)


@pytest.fixture
def state(line: Callable[..., Experiment], lonely: Callable[[Experiment, int], Problem]) -> State:
    return State(lonely(line([3.0, 2.0, 1.0]), 3))


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between attempts, which are not made."""
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(endpoint.asyncio, "sleep", sleep)
    return waited


def test_a_request_is_the_whole_conversation_with_the_settings(server: Any, says: Says, state: State, key: str) -> None:
    server.script = [says(GOOD)]
    policy = replace(POLICY, temperature=0.5, max_tokens=77)
    (proposal,) = policy.propose([state])
    (request,) = server.seen
    assert request["messages"] == conversation(state, Style())
    assert {k: request[k] for k in ("model", "temperature", "max_tokens")} == {
        "model": "m",
        "temperature": 0.5,
        "max_tokens": 77,
    }
    assert server.keys == [f"Bearer {key}"]
    assert proposal.config == GOOD
    assert proposal.reasoning == "small is fine"
    assert proposal.prompt == request["messages"][-1]["content"]
    later = State(state.problem, (TOLD,), proposals=(proposal,))
    policy.propose([later])
    assert [m["content"] for m in server.seen[1]["messages"][:2]] == [proposal.prompt, GOOD]
    assert "2 trials left" in server.seen[1]["messages"][-1]["content"]


def test_what_is_not_set_is_left_to_the_server(server: Any, says: Says, state: State) -> None:
    server.script = [says(GOOD)]
    replace(POLICY, send_seed=False).propose([state])
    assert set(server.seen[0]) == {"model", "messages", "max_tokens"}


def test_a_seed_is_the_states_own_and_another_for_each_turn(server: Any, says: Says, state: State) -> None:
    server.script = [says(GOOD)]
    later = State(state.problem, (TOLD,))
    for s in (state, state, State(state.problem, seed=1), later):
        POLICY.propose([s])
    seeds = [request["seed"] for request in server.seen]
    assert seeds[0] == seeds[1]
    assert len(set(seeds)) == 3


def test_states_of_a_batch_are_asked_at_once_and_answered_in_order(
    server: Any, says: Says, line: Callable[..., Experiment], lonely: Callable[[Experiment, int], Problem]
) -> None:
    """Each answer waits until all requests of its wave are there: they would never end if asked one by one."""
    barrier = threading.Barrier(3, timeout=20)

    def together(handler: Any, body: dict[str, Any]) -> Any:
        barrier.wait()
        budget = body["messages"][0]["content"].split("Budget: ")[1].split(" ")[0]
        return 200, says(f"<config>{{{budget}}}</config>"), {}

    server.script = [together]
    states = [State(lonely(line([1.0, 2.0]), budget)) for budget in range(1, 7)]
    proposals = replace(POLICY, concurrency=3).propose(states)
    assert [p.config for p in proposals] == [f"<config>{{{b}}}</config>" for b in range(1, 7)]


def test_no_more_requests_at_a_time_than_allowed(server: Any, says: Says, state: State) -> None:
    lock, now, most = threading.Lock(), 0, 0

    def counted(handler: Any, body: dict[str, Any]) -> Any:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        threading.Event().wait(0.02)
        with lock:
            now -= 1
        return 200, says(GOOD), {}

    server.script = [counted]
    replace(POLICY, concurrency=2).propose([state] * 6)
    assert most <= 2


def test_it_can_be_asked_inside_a_running_loop_as_in_a_notebook(server: Any, says: Says, state: State) -> None:
    server.script = [says(GOOD)]

    async def cell() -> Any:
        return POLICY.propose([state])

    assert asyncio.run(cell())[0].config == GOOD


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_thoughts_that_a_server_keeps_apart_are_the_reasoning(server: Any, says: Says, state: State, name: str) -> None:
    server.script = [says(CONFIG, **{name: " as it scales\n"})]
    (proposal,) = POLICY.propose([state])
    assert (proposal.config, proposal.reasoning) == (CONFIG, "as it scales")


def test_tokens_are_counted_and_priced(server: Any, says: Says, state: State) -> None:
    server.script = [says(GOOD, usage=(1500, 200))]
    (proposal,) = replace(POLICY, read_price=2.0, write_price=10.0).propose([state])
    assert proposal.usage == Usage(1500, 200, pytest.approx(0.005))


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": None, "completion_tokens": "many"}, "some"])
def test_a_server_that_does_not_count_is_no_problem(server: Any, says: Says, state: State, usage: object) -> None:
    server.script = [says(GOOD, usage=usage)]
    (proposal,) = replace(POLICY, read_price=2.0).propose([state])
    assert (proposal.config, proposal.usage) == (GOOD, Usage())


BAD_ANSWERS: Mapping[str, dict[str, Any]] = {
    "cut off": {"content": '<think>well</think><config>{"x": ', "finish": "length"},
    "cut off while it thinks": {"content": None, "finish": "length", "reasoning_content": "hmm, let me"},
    "empty": {"content": ""},
    "filtered": {"content": None, "finish": "content_filter"},
    "of another kind": {"content": [{"type": "text", "text": "hello"}]},
    "without a configuration": {"content": "I cannot help with that."},
}


@pytest.mark.parametrize("case", BAD_ANSWERS)
def test_a_bad_answer_costs_a_trial_and_is_not_asked_for_again(
    server: Any,
    says: Says,
    line: Callable[..., Experiment],
    lonely: Callable[[Experiment, int], Problem],
    case: str,
) -> None:
    experiment = line([3.0, 2.0, 1.0])
    server.script = [says(**BAD_ANSWERS[case]), says(GOOD)]
    (episode,) = run_episodes(POLICY, [experiment], [lonely(experiment, 2)], [0])
    assert [o.kind for o in episode.outcomes] == ["invalid", "measured"]
    assert len(server.seen) == 2
    assert "invalid" in server.seen[1]["messages"][-1]["content"]


def cut(handler: Any, body: dict[str, Any]) -> None:
    """An answer that ends in the middle of its body."""
    handler.send_response(200)
    handler.send_header("content-type", "application/json")
    handler.send_header("content-length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"id": "1", "choices": [')


def hang_up(handler: Any, body: dict[str, Any]) -> None:
    """No answer at all."""


PASSING: Mapping[str, Any] = {
    "overloaded": (500, {"error": {"message": "out of order"}}, {}),
    "unavailable": (503, "<html>try later</html>", {"content-type": "text/html"}),
    "limited": (429, {"error": {"message": "slow down"}}, {}),
    "cut": cut,
    "hung up": hang_up,
    "no JSON": (200, '{"id": "1", "choices": [{', {}),
    "no JSON at all": (200, "<html>a proxy</html>", {"content-type": "text/html"}),
    "no choices": (200, {"error": {"message": "upstream failed", "code": 502}}, {}),
    "an empty list of choices": (200, {"id": "1", "choices": []}, {}),
    "a list": (200, [1, 2], {}),
    "null": (200, None, {}),
}


@pytest.mark.parametrize("case", PASSING)
def test_what_may_pass_is_asked_again(
    server: Any, says: Says, state: State, pauses: list[float], case: str, caplog: pytest.LogCaptureFixture
) -> None:
    server.script = [PASSING[case], PASSING[case], says(GOOD)]
    (proposal,) = POLICY.propose([state])
    assert proposal.config == GOOD
    assert len(server.seen) == 3
    assert server.seen[0] == server.seen[1] == server.seen[2]
    assert len(pauses) == 2
    assert caplog.text.count("asking again in") == 2


@pytest.mark.parametrize("case", PASSING)
def test_what_does_not_pass_is_a_typed_error_in_the_end(
    server: Any, state: State, pauses: list[float], case: str
) -> None:
    server.script = [PASSING[case]]
    with pytest.raises(EndpointProblem, match=r"m at 127.0.0.1:\d+ gave no answer \(attempts: 3\): .* repeat the comm"):
        POLICY.propose([state])
    assert len(server.seen) == 3


@pytest.mark.parametrize(
    ("status", "message"),
    [(400, "the context is too long"), (401, "wrong key"), (403, "not yours"), (404, "no such model"), (422, "seed?")],
)
def test_a_refusal_is_final_and_its_reason_is_told(
    server: Any, state: State, pauses: list[float], status: int, message: str
) -> None:
    server.script = [(status, {"error": {"message": message}}, {})]
    with pytest.raises(EndpointProblem, match=rf"attempts: 1\): Error code: {status} .*{message.replace('?', '.')}"):
        POLICY.propose([state] * 2)
    assert pauses == []


def test_a_spent_account_is_not_asked_again(server: Any, state: State, pauses: list[float]) -> None:
    server.script = [(429, {"error": {"message": "pay first", "code": "insufficient_quota"}}, {})]
    with pytest.raises(EndpointProblem, match=r"attempts: 1\): .*pay first"):
        POLICY.propose([state])
    assert pauses == []


def test_pauses_double_less_some_by_chance(server: Any, state: State, pauses: list[float]) -> None:
    server.script = [(500, "", {})]
    with pytest.raises(EndpointProblem):
        replace(POLICY, pause=4.0, retries=6).propose([state])
    assert len(pauses) == 6
    for waited, longest in zip(pauses, (4, 8, 16, 32, 60, 60), strict=True):
        assert longest / 2 <= waited <= longest


def test_a_server_that_says_when_to_come_back_is_obeyed(
    server: Any, says: Says, state: State, pauses: list[float]
) -> None:
    asked = ["7", "0.25", "0", "-3"]
    server.script = [*((429, {}, {"retry-after": wait}) for wait in asked), says(GOOD)]
    replace(POLICY, retries=4, pause=1.0).propose([state])
    assert pauses[:2] == [7.0, 0.25]
    assert 2 <= pauses[2] <= 4 <= pauses[3] <= 8, "no pause asked for is no reason to make none"


def test_a_server_that_wants_an_hour_of_peace_is_not_waited_for(server: Any, state: State, pauses: list[float]) -> None:
    server.script = [(429, {"error": {"message": "enough for today"}}, {"retry-after": "3600"})]
    with pytest.raises(EndpointProblem, match=r"enough for today.* It wants to be left alone for 3600 s"):
        POLICY.propose([state])
    assert pauses == []


def test_retry_after_is_seconds_or_a_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "time", lambda: 1_000_000.0)
    assert _retry_after(formatdate(1_000_030.0, usegmt=True)) == 30.0
    assert _retry_after("12") == 12.0
    for unreadable in (None, "", "soon", "nan", "inf", "Mon, 99 Foo 2026"):
        assert _retry_after(unreadable) is None


def test_a_server_that_stalls_is_given_up_after_the_timeout_and_asked_again(
    server: Any, says: Says, state: State, pauses: list[float]
) -> None:
    def stall(handler: Any, body: dict[str, Any]) -> None:
        server.released.wait()

    server.script = [stall, says(GOOD)]
    (proposal,) = replace(POLICY, timeout=1.0).propose([state])
    assert proposal.config == GOOD
    server.script = [stall]
    with pytest.raises(EndpointProblem, match=r"attempts: 2\): no answer within 0.05 s"):
        replace(POLICY, timeout=0.05, retries=1).propose([state])


def test_blanks_sent_while_the_model_thinks_do_not_extend_the_timeout(
    server: Any, state: State, pauses: list[float]
) -> None:
    def drip(handler: Any, body: dict[str, Any]) -> None:
        handler.send_response(200)
        handler.send_header("content-type", "application/json")
        handler.send_header("content-length", "100000")
        handler.end_headers()
        try:
            while not server.released.wait(0.01):
                handler.wfile.write(b" ")
                handler.wfile.flush()
        except OSError:
            pass  # the client has left

    server.script = [drip]
    with pytest.raises(EndpointProblem, match=r"no answer within 0\.2 s"):
        replace(POLICY, timeout=0.2, retries=0).propose([state])


def test_one_that_fails_for_good_ends_the_batch(server: Any, says: Says, state: State) -> None:
    def stall(handler: Any, body: dict[str, Any]) -> None:
        server.released.wait()

    server.script = [(401, {"error": {"message": "wrong key"}}, {}), stall]
    with pytest.raises(EndpointProblem, match="wrong key"):
        POLICY.propose([state] * 4)


def test_a_server_that_is_not_there_is_a_typed_error(
    monkeypatch: pytest.MonkeyPatch, state: State, pauses: list[float]
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(EndpointProblem, match=r"m at 127.0.0.1:9 gave no answer \(attempts: 3\)"):
        replace(POLICY, base_url="http://127.0.0.1:9/v1").propose([state])


@pytest.mark.parametrize(
    "nowhere", ["localhost:8000", "file:///etc/passwd", "http", "http://[::1/v1", "http://h:port/v1", "me:pw22@h/v1"]
)
def test_what_is_no_address_is_refused_before_anything_is_asked(
    monkeypatch: pytest.MonkeyPatch, state: State, nowhere: str
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", nowhere)
    for use in (lambda: POLICY.propose([state]), POLICY.identity):
        with pytest.raises(EndpointProblem, match="is no address of a server; expected one such as") as caught:
            use()
        assert "pw22" not in str(caught.value)


def test_without_key_openai_is_not_asked_and_ones_own_server_is(
    server: Any, says: Says, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.script = [says("none of <config>{}</config>")]
    monkeypatch.delenv("OPENAI_API_KEY")
    (proposal,) = POLICY.propose([state])
    assert proposal.config == "none of <config>{}</config>"
    monkeypatch.delenv("OPENAI_BASE_URL")
    with pytest.raises(EndpointProblem, match=r"OPENAI_API_KEY is not set, and api\.openai\.com wants a key"):
        POLICY.propose([state])


def test_a_key_from_a_file_may_end_in_a_line_break_and_may_hold_none(
    server: Any, says: Says, state: State, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    server.script = [says(GOOD)]
    monkeypatch.setenv("OPENAI_API_KEY", f"{key}\n")
    POLICY.propose([state])
    assert server.keys == [f"Bearer {key}"]
    for wrong in (f"{key}\n{key}", f"{key}é"):
        monkeypatch.setenv("OPENAI_API_KEY", wrong)
        with pytest.raises(EndpointProblem, match="holds a character that no key has") as caught:
            POLICY.propose([state])
        assert key not in str(caught.value)


def echo(status: int) -> Any:
    """A server that repeats the key in its body, once across the place where a long message is cut."""

    def respond(handler: Any, body: dict[str, Any]) -> Any:
        header = handler.headers["authorization"]
        said = f"{header} {'x' * 215} {header} {'y' * 250}"
        if status == 200:
            return 200, completion_of(said), {}
        return status, {"error": {"message": said}}, {}

    return respond


def completion_of(text: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text, "reasoning_content": text}
    return {"id": "1", "choices": [{"index": 0, "message": message}]}


@pytest.mark.parametrize("status", [400, 401, 429, 500])
def test_the_key_is_in_no_error_log_or_traceback(
    server: Any, state: State, pauses: list[float], key: str, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.script = [echo(status)]
    with pytest.raises(EndpointProblem) as caught:
        POLICY.propose([state] * 2)
    assert "[key]" in str(caught.value)
    told = "".join(traceback.format_exception(caught.value))
    seen: set[int] = set()
    todo: list[BaseException | None] = [caught.value]
    while todo:  # also what was being handled, and would not be printed
        problem = todo.pop()
        if problem is not None and id(problem) not in seen:
            seen.add(id(problem))
            told += repr(problem) + repr(vars(problem))
            todo += [problem.__cause__, problem.__context__]
            todo += list(getattr(problem, "exceptions", ()))
    for text in (told, caplog.text, *(repr(vars(r)) for r in caplog.records)):
        for part in (key, key[: len(key) // 2]):
            assert part not in text


def test_the_key_is_in_no_representation_and_no_answer(server: Any, state: State, key: str) -> None:
    server.script = [echo(200)]
    (proposal,) = POLICY.propose([state])
    assert key not in repr(proposal)
    assert "[key]" in str(proposal.config)
    assert "[key]" in proposal.reasoning
    assert key not in repr(POLICY) + json.dumps(POLICY.identity())


def test_a_placeholder_for_a_key_is_no_secret(
    server: Any, says: Says, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Servers without keys are given `x` or `EMPTY`; a model's words that hold it are left as they are."""
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    server.script = [says(GOOD)]
    assert POLICY.propose([state])[0].config == GOOD


def test_a_password_in_the_address_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "https://me:hunter22@example.org:8443/v1")
    assert POLICY.identity() == {"model": "m", "host": "example.org:8443"}


def test_openai_itself_is_asked_by_the_new_name_of_the_limit() -> None:
    asked = replace(POLICY, base_url="https://api.openai.com/v1")._request([], 0)
    assert asked["max_completion_tokens"] == 4096
    assert "max_tokens" not in asked


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmconfig_gym.errors.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install 'autollmresearch\[endpoint\]'"):
        EndpointPolicy("m")
