"""Bytes no tracker should send raise ReplyError and nothing else."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.ndi import ReplyError, open_binary, open_text, parse_bx, parse_tx, pose_matrix
from devices.ndi.framing import body_size
from devices.ndi.ports import parse_handle, parse_handles, parse_location
from tests.devices.test_ndi_replies import GOLDEN_BX, RECORDED_MISSING, RECORDED_TX

Parser = Callable[[bytes], object]


def swallow(parse: Parser, data: bytes) -> None:
    with contextlib.suppress(ReplyError):
        parse(data)


def poses_of_bx(data: bytes) -> None:
    for tool in parse_bx(data).tools:
        if tool.pose is not None:
            pose_matrix(tool.pose)


PARSERS: list[Parser] = [
    open_text,
    open_binary,
    body_size,
    parse_tx,
    poses_of_bx,
    parse_handle,
    parse_handles,
    parse_location,
]


@pytest.mark.parametrize("parse", PARSERS)
@given(data=st.binary(max_size=120))
def test_random_bytes(parse: Parser, data: bytes) -> None:
    swallow(parse, data)


@given(text=st.text("0123456789ABCDEFU+-MISNGOKY \n\r*", max_size=120))
def test_random_text(text: str) -> None:
    for parse in PARSERS:
        swallow(parse, text.encode())


@settings(max_examples=200)
@given(
    golden=st.sampled_from(
        [
            (parse_tx, RECORDED_TX),
            (parse_tx, RECORDED_MISSING),
            (poses_of_bx, GOLDEN_BX[6:-2]),
            (open_binary, GOLDEN_BX),
            (parse_handles, b"040A01F0B01F0C01F0D01F"),
            (parse_location, b"00000000010A00"),
        ]
    ),
    changes=st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=5),
    cut=st.integers(0, 200),
)
def test_mutated_replies(
    golden: tuple[Parser, bytes], changes: list[tuple[int, int]], cut: int
) -> None:
    parse, whole = golden
    data = bytearray(whole)
    for where, value in changes:
        data[where % len(data)] = value
    swallow(parse, bytes(data))
    swallow(parse, bytes(data[:cut]))


@pytest.mark.parametrize("golden", [RECORDED_TX, RECORDED_MISSING])
def test_cut_text_is_never_taken_for_whole(golden: bytes) -> None:
    for size in range(len(golden)):
        with pytest.raises(ReplyError):
            parse_tx(golden[:size])
    with pytest.raises(ReplyError):
        parse_tx(golden + b"0")


def test_cut_binary_is_never_taken_for_whole() -> None:
    body = GOLDEN_BX[6:-2]
    for size in range(len(body)):
        with pytest.raises(ReplyError):
            parse_bx(body[:size])
    with pytest.raises(ReplyError):
        parse_bx(body + b"\0")
