"""Arithmetic on vectors."""

import math

import pytest

from xylem.services.gateway.apis.embeddings.numbers import shortened, similarity, softmax
from xylem.shared.protocol.columns import pack_floats, unpack_floats


def test_a_shortened_vector_has_length_1() -> None:
    short = unpack_floats(shortened(pack_floats([3.0, 4.0, 12.0]), 2))
    assert short.tolist() == pytest.approx([0.6, 0.8])
    assert unpack_floats(shortened(pack_floats([0.0, 0.0, 1.0]), 2)).tolist() == [0.0, 0.0]


def test_similarity() -> None:
    one, other = unpack_floats(pack_floats([0.6, 0.8])), unpack_floats(pack_floats([0.8, -0.6]))
    assert similarity(one, other) == pytest.approx(0.0)
    assert similarity(one, one) == pytest.approx(1.0)
    assert similarity(one, unpack_floats(pack_floats([-0.6, -0.8]))) == pytest.approx(-1.0)
    rounded_up = unpack_floats(pack_floats([1.0000001, 0.0]))
    assert similarity(rounded_up, rounded_up) == 1.0


def test_softmax() -> None:
    assert softmax([math.log(0.1), math.log(0.3)]) == pytest.approx([0.25, 0.75])
    assert softmax([-1e4, -1e4]) == [0.5, 0.5]
    assert softmax([-math.inf, 0.0]) == [0.0, 1.0]
    assert softmax([-math.inf, -math.inf]) == [0.5, 0.5]
