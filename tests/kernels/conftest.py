"""Triton is there on Linux only: elsewhere the tests of what is written in it have nothing to test."""

from importlib.util import find_spec

if find_spec("triton") is None:
    collect_ignore = ["triton", "flashinfer"]
