"""Defines bounded numbers. The decoder checks them, so that no stage has to: outside of them is no message."""

from typing import Annotated

from msgspec import Meta

from xylem.shared.protocol.columns import INT32_MAX

INT64_MAX = 2**63 - 1

Int32 = Annotated[int, Meta(ge=-INT32_MAX - 1, le=INT32_MAX)]
Int64 = Annotated[int, Meta(ge=-INT64_MAX - 1, le=INT64_MAX)]
Count = Annotated[int, Meta(ge=0, le=INT32_MAX)]  # fits into a column
Serial = Annotated[int, Meta(ge=0, le=INT64_MAX)]  # epochs are times in ms
Share = Annotated[float, Meta(ge=0, le=1)]
Amount = Annotated[float, Meta(ge=0, le=1e12)]  # finite, and no NaN
Penalty = Annotated[float, Meta(ge=-2, le=2)]
Factor = Annotated[float, Meta(ge=1e-3, le=1e3)]
