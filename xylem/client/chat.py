"""A streaming chat over HTTP."""

import json
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import httpx

from xylem.client.sse import events

CONNECT_S = 5.0
# A busy server may take long to the first token; a dead connection is noticed all the same.
SILENCE_S = 120.0

Messages = list[dict[str, str]]


class ChatError(Exception):
    """No answer; the message says why and is meant for the person."""


class ChatClient:
    """One gateway, one model. `parameters` go into every request; those that are None are left out.

    Raises ChatError when ca_file can't be used.
    """

    def __init__(
        self,
        url: str,
        *,
        model: str = "",
        api_key: str = "",
        ca_file: Path | None = None,
        parameters: Mapping[str, float | int | None] | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.url = url.rstrip("/").removesuffix("/v1")
        self._model = model
        self._parameters = {name: value for name, value in (parameters or {}).items() if value is not None}
        local = urlsplit(self.url).hostname in ("127.0.0.1", "localhost", "::1")
        self._client = httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {api_key}"} if api_key else {},
            timeout=httpx.Timeout(SILENCE_S, connect=CONNECT_S),
            trust_env=not local,  # a proxy can't know this machine's loopback
            verify=_trust(ca_file) if ca_file else True,
            transport=transport,
        )

    def __enter__(self) -> "ChatClient":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._client.close()

    @property
    def model(self) -> str:
        """The model that is asked: the given one, or the first that the server lists. Raises ChatError."""
        if not self._model:
            try:
                answer = self._client.get("/v1/models")
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise self._unreachable(error) from None
            self._check(answer)
            try:
                self._model = answer.json()["data"][0]["id"]
            except (ValueError, LookupError, TypeError):
                raise ChatError(
                    f"{self.url} answers, but lists no models: is it an OpenAI-compatible server?"
                ) from None
        return self._model

    def answer(self, messages: Messages) -> Iterator[str]:
        """The next message's text in pieces, as they arrive. Raises ChatError."""
        body = {"model": self.model, "messages": messages, "stream": True, **self._parameters}
        try:
            with self._client.stream("POST", "/v1/chat/completions", json=body) as response:
                if response.status_code != 200:
                    response.read()
                    self._check(response)
                for data in events(response.iter_lines()):
                    if data == "[DONE]":
                        return
                    yield from _pieces(data)
        except httpx.TimeoutException:
            raise ChatError(f"{self.url} has said nothing for {SILENCE_S:g} s") from None
        except httpx.RemoteProtocolError as error:
            raise ChatError(f"the connection broke in the middle of the answer ({error})") from None
        except httpx.HTTPError as error:
            raise self._unreachable(error) from None
        raise ChatError("the answer broke off: the server closed the stream before its end")

    def _check(self, response: httpx.Response) -> None:
        if response.status_code != 200:
            raise ChatError(f"{self.url} refused ({response.status_code}): {_reason(response)}")

    def _unreachable(self, error: Exception) -> ChatError:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return ChatError(f"{self.url} shows a certificate that is not trusted here ({error}); see --ca-file")
        return ChatError(f"no server at {self.url} ({error or type(error).__name__}); start one with: xylem serve")


def _trust(ca_file: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # ssl.SSLError is one
        raise ChatError(f"the certificate {ca_file} can't be used: {error.strerror or error}") from None


def _pieces(data: str) -> Iterator[str]:
    try:
        event: dict[str, Any] = json.loads(data)
    except ValueError:
        raise ChatError(f"the server sent what is no JSON: {data[:80]!r}") from None
    if "error" in event:
        raise ChatError(str(event["error"].get("message", event["error"])))
    for choice in event.get("choices", []):
        if text := choice.get("delta", {}).get("content"):
            yield text


def _reason(response: httpx.Response) -> str:
    try:
        return str(response.json()["error"]["message"])
    except (ValueError, LookupError, TypeError):
        return response.text.strip()[:200] or response.reason_phrase
