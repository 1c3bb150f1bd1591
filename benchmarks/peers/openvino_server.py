"""The least HTTP in front of OpenVINO's pipeline, which has none of its own on PyPI: streamed completions of text.

One thread steps the pipeline; after each step, what is new goes to the connections' queues.
"""

import asyncio
import itertools
import json
import os
import threading
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from benchmarks.peers.openvino import greedy, tensor
from benchmarks.peers.protocol import MODEL_NAME

HEAD = "HTTP/1.1 200 OK\r\nContent-Type: {}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"


@dataclass
class Stream:
    """One request on its way. news: token ids of a step, and None at the end."""

    handle: Any
    news: "asyncio.Queue[list[int] | None]" = field(default_factory=asyncio.Queue)


class Stepping:
    """The pipeline and the thread that steps it. Requests are added between two steps, by whoever has the lock."""

    def __init__(self, pipeline: Any) -> None:
        self._pipeline = pipeline
        self._numbers = itertools.count()
        self._streams: list[Stream] = []
        self._waiting: list[tuple[list[int], int, asyncio.Future[Stream]]] = []
        self._wake = threading.Condition()
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._run, daemon=True).start()

    async def start(self, prompt: list[int], num_output: int) -> Stream:
        started: asyncio.Future[Stream] = self._loop.create_future()
        with self._wake:
            self._waiting.append((prompt, num_output, started))
            self._wake.notify()
        return await started

    def _run(self) -> None:
        try:
            self._step_for_ever()
        except Exception:
            traceback.print_exc()
            os._exit(1)  # a server whose pipeline has failed would let everybody wait

    def _step_for_ever(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._waiting or self._streams)
                arrived, self._waiting = self._waiting, []
            for prompt, num_output, started in arrived:
                handle = self._pipeline.add_request(next(self._numbers), tensor(prompt), greedy(num_output))
                stream = Stream(handle)
                self._streams.append(stream)
                self._loop.call_soon_threadsafe(started.set_result, stream)
            self._pipeline.step()
            self._loop.call_soon_threadsafe(_tell, self._news())

    def _news(self) -> list[tuple[Stream, list[int] | None]]:
        news: list[tuple[Stream, list[int] | None]] = []
        for stream in list(self._streams):
            ended = stream.handle.get_status().name != "RUNNING"
            if stream.handle.can_read():
                news += [(stream, list(out.generated_ids)) for out in stream.handle.read().values()]
            if ended:
                self._streams.remove(stream)
                news.append((stream, None))
        return news


def _tell(news: list[tuple[Stream, list[int] | None]]) -> None:
    for stream, ids in news:
        stream.news.put_nowait(ids)


def _chunk(data: str) -> bytes:
    body = data.encode()
    return f"{len(body):x}\r\n".encode() + body + b"\r\n"


async def _complete(
    stepping: Stepping, tokenizer: Tokenizer, body: dict[str, Any], writer: asyncio.StreamWriter
) -> None:
    prompt = body["prompt"]
    ids = tokenizer.encode(prompt).ids if isinstance(prompt, str) else prompt
    stream = await stepping.start(ids, body["max_tokens"])
    writer.write(HEAD.format("text/event-stream").encode())
    made: list[int] = []
    said = ""
    while (news := await stream.news.get()) is not None:
        made += news
        text = tokenizer.decode(made)
        choice = {"index": 0, "text": text[len(said) :], "finish_reason": None}
        said = text
        writer.write(_chunk(f"data: {json.dumps({'choices': [choice]})}\n\n"))
        await writer.drain()
    usage = {"prompt_tokens": len(ids), "completion_tokens": len(made), "total_tokens": len(ids) + len(made)}
    writer.write(_chunk(f"data: {json.dumps({'choices': [], 'usage': usage})}\n\n") + _chunk("data: [DONE]\n\n"))


async def _serve(pipeline: Any, model: Path, port: int) -> None:
    stepping, tokenizer = Stepping(pipeline), Tokenizer.from_file(str(model / "tokenizer.json"))

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        if head.startswith("post"):
            num_bytes = int(head.split("content-length:")[1].split("\r\n")[0])
            await _complete(stepping, tokenizer, json.loads(await reader.readexactly(num_bytes)), writer)
        else:
            models = json.dumps({"data": [{"id": MODEL_NAME}]})
            writer.write(HEAD.format("application/json").encode() + _chunk(models))
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(connection, "127.0.0.1", port, limit=1 << 22)
    await server.serve_forever()


def serve(pipeline: Any, model: Path, port: int) -> None:
    """Until the process is ended."""
    asyncio.run(_serve(pipeline, model, port))
