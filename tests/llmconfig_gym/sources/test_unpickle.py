"""The restricted unpickler: numpy's plain numbers pass, anything that could run or reach further does not."""

import os
import pickle
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmconfig_gym.errors import UnsafePickle
from llmconfig_gym.sources.unpickle import load, loads

PLAIN = {"arch": {"layers": [1, 2, 3], "bias": True}, "lat": 1.5, "unit": "ms", "none": None, "t": (1, b"x")}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_data_is_read(protocol: int) -> None:
    data = {**PLAIN, "t": [1, 2]}  # bytes need a name of the standard library before protocol 3
    assert loads(pickle.dumps(data, protocol)) == data


@pytest.mark.parametrize("number", [np.float64(1.25), np.float32(0.5), np.int64(-(2**60)), np.int32(7)])
def test_numpy_scalars_come_as_python_numbers(number: Any) -> None:
    (found,) = loads(pickle.dumps([number], 4))
    assert found == number.item()
    assert type(found) in (float, int)


def test_numpys_old_module_name_is_admitted_without_importing_it() -> None:
    data = pickle.dumps([np.float64(2.5)], 3).replace(b"numpy._core", b"numpy.core")
    assert b"numpy.core.multiarray" in data
    assert loads(data) == [2.5]


class Runs:
    """What an attacker would send."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize(
    "payload",
    [
        Runs(os.system, "touch {}"),
        Runs(eval, "open({!r}, 'w')"),
        Runs(exec, "open({!r}, 'w')"),
        Runs(open, "{}", "w"),
    ],
)
def test_code_is_refused_and_does_not_run(payload: Runs, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    function, arguments = payload.call
    filled = Runs(function, *(a.replace("{!r}", repr(str(trace))).replace("{}", str(trace)) for a in arguments))
    with pytest.raises(UnsafePickle, match="not admitted"):
        loads(pickle.dumps(filled))
    assert not trace.exists()


@pytest.mark.parametrize(
    "trick",
    [
        np.array([1.0, 2.0]),
        np.array([{"a": 1}], dtype=object),
        np.dtype("O"),
        np.dtype([("x", "f8")]),
        np.dtype(">f8"),
        np.dtype("U5"),
        np.str_("text"),
        np.datetime64("2020-01-01"),
        np.float16(1.0),
        np.complex128(1j),
        np.ma.masked_array([1.0]),
        np.random.RandomState(0),
        Fraction(1, 3),
        np.load,
    ],
    ids=lambda t: str(getattr(t, "dtype", None) or type(t).__name__),
)
def test_other_numpy_objects_are_refused(trick: Any) -> None:
    with pytest.raises(UnsafePickle):
        loads(pickle.dumps([trick]))


@pytest.mark.parametrize(
    "program",
    [
        b"cnumpy\ndtype.__class__\n.",  # an attribute of an admitted name
        b"cnumpy\ndtype\n(S'f8'\nI00\nI01\ntR(I3\nS'<'\nNN(dI-1\nI-1\nI0\ntb.",  # a state with metadata
        b"cnumpy\ndtype\n(S'O'\ntR.",
        b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(S'f8'\ntRC\x04abcdtR.",  # too few bytes
        b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(S'f8'\ntR]tR.",  # a list for bytes
        b"cnumpy.core.multiarray\nscalar\n}S'__call__'\nI1\nsb.",  # change the substitute itself
        b"cnumpy\ndtype\nN}S'number'\nI1\ns\x86b.",
        b"cbuiltins\neval\n(S'1+1'\ntR.",
        b"Psomewhere else\n.",  # a persistent id
        b"\x82\x01.",  # an extension code
        b"",
        b"not a pickle at all",
        b"\x80\xff.",
    ],
)
def test_tricks_of_the_pickle_language_are_refused(program: bytes) -> None:
    with pytest.raises(UnsafePickle):
        loads(program)


def test_truncated_pickles_say_so() -> None:
    whole = pickle.dumps([PLAIN] * 20)
    for cut in range(0, len(whole) - 1, 7):
        with pytest.raises(UnsafePickle, match="broken pickle"):
            loads(whole[:cut], "x.pkl")


@given(st.binary(max_size=200), st.integers(0, 400))
def test_any_bytes_give_data_or_a_typed_error(noise: bytes, at: int) -> None:
    whole = pickle.dumps([PLAIN, np.float64(1.5)])
    for data in (noise, whole[:at] + noise, whole[:at] + noise + whole[at + len(noise) :]):
        with suppress(UnsafePickle):
            loads(data)


def test_the_error_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "bad.pkl"
    path.write_bytes(pickle.dumps(Runs(os.system, "true")))
    with pytest.raises(UnsafePickle, match=r"bad\.pkl was not read: it asks for posix.system"):
        load(path)
