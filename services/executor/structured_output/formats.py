"""Formats of strings as regular expressions, each a part of what the format allows: all that is written is valid.

Names that are not here have no meaning in the standard: they are annotations.
"""

_DATE = "(?:[0-9]{3}[1-9]|[0-9]{2}[1-9]0|[0-9][1-9]00|[1-9]000)-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))"  # noqa: E501
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST = rf"{_LABEL}(?:\.{_LABEL})*"
_BYTE = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_H16 = "[0-9a-fA-F]{1,4}"
_PATH = "(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*"
_TAIL = rf"(?:\?{_PATH})?(?:#{_PATH})?"
_URI = rf"[A-Za-z][A-Za-z0-9+.-]{{1,15}}://{_HOST}(?::[0-9]{{1,5}})?(?:/{_PATH})?{_TAIL}"

FORMATS = {
    "date": _DATE,
    "time": _TIME,
    "date-time": f"{_DATE}T{_TIME}",
    "duration": "P(?:[0-9]{1,6}W|[0-9]{1,6}D(?:T[0-9]{1,6}H)?|T(?:[0-9]{1,6}H)?[0-9]{1,6}M|T[0-9]{1,6}S)",
    "email": rf"[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*@{_HOST}",
    "hostname": _HOST,
    "ipv4": rf"{_BYTE}(?:\.{_BYTE}){{3}}",
    "ipv6": f"(?:{_H16}:){{7}}{_H16}|(?:{_H16}:){{1,6}}:{_H16}|::(?:{_H16}:){{0,5}}{_H16}|::",
    "uri": _URI,
    "uri-reference": f"{_URI}|/{_PATH}{_TAIL}",
    "uuid": "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}",
    "json-pointer": "(?:/(?:[A-Za-z0-9_. -]|~[01])*)*",
    "relative-json-pointer": "(?:0|[1-9][0-9]{0,5})(?:#|(?:/(?:[A-Za-z0-9_. -]|~[01])*)*)",
    "regex": "[A-Za-z0-9_ -]*",
}
FORMATS |= {"idn-email": FORMATS["email"], "idn-hostname": _HOST, "iri": _URI, "uri-template": _URI}
FORMATS |= {"iri-reference": FORMATS["uri-reference"]}
