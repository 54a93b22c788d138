"""How much code one small batch passes through: source files, functions, and moves from file to file.

Two paths on the SQLite store, each measured in a warm process (a batch like it went before):

- **work**: one step of a worker, from the claim to the commit, over 301 NDJSON products of which one is rejected;
- **receive**: one request with the same body and an idempotency key through the ASGI application, to its answer.

Only functions defined in files under `src/goodsgate` count, in every thread; a comprehension or a lambda is a function
of its own. A *move* is what a reader who follows the execution does between files: from a file to a function of another
file, by a call, a resumed generator or a return. The same move counts once, so the figures do not depend on the number
of records, and they are the same on every run. Frames of libraries between two functions do not count.
"""

import asyncio
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import orjson

import goodsgate
from bench.figures import Figure, lines_of
from goodsgate.app import create_app, create_engine, create_worker, open_store
from goodsgate.auth import new_key
from goodsgate.config import Config
from goodsgate.model.batch import Kind, Policy
from goodsgate.model.catalogue import Merchant, Scope

SOURCE = f"{Path(goodsgate.__file__).parent}{os.sep}"
RECORDS = 301
PIECE_BYTES = 64 * 1024
"""Bytes of a body that a server hands over at once."""
WORK_DEMANDS = (32, 200, 170)
RECEIVE_DEMANDS = (20, 90, 80)
"""Most files, functions and moves."""


class Recording:
    """The functions of `src/goodsgate` that were entered, and the moves between their files."""

    def __init__(self) -> None:
        self.functions: dict[CodeType, None] = {}
        self.moves: set[tuple[str, CodeType]] = set()
        """File that was left, and function of another file that was entered or returned to."""
        self._is_running = False
        self._file = ""
        sys.setprofile(self._profile)
        threading.setprofile(self._profile)  # for threads that start from now on

    def close(self) -> None:
        """Stop listening to calls."""
        sys.setprofile(None)
        threading.setprofile(None)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Record the calls made while the block runs, in every thread."""
        self.functions, self.moves = {}, set()
        self._is_running, self._file = True, ""
        try:
            yield
        finally:
            self._is_running = False

    @property
    def figures(self) -> tuple[int, int, int]:
        """Files, functions and moves."""
        return len({code.co_filename for code in self.functions}), len(self.functions), len(self.moves)

    def lines(self) -> Iterator[str]:
        """Functions by file, in the order they were first entered, and the number of moves into each."""
        by_file: dict[str, list[CodeType]] = {}
        for code in self.functions:
            by_file.setdefault(code.co_filename.removeprefix(SOURCE), []).append(code)
        into: dict[CodeType, int] = {}
        for _, code in self.moves:
            into[code] = into.get(code, 0) + 1
        for file, codes in sorted(by_file.items()):
            yield f"{file}: {len(codes)} functions, {sum(into.get(code, 0) for code in codes)} moves into it"
            for code in codes:
                yield f"    {code.co_qualname}{f' ({into[code]})' if code in into else ''}"

    def _profile(self, frame: FrameType, event: str, _: object) -> None:
        if not self._is_running or event not in ("call", "return") or not _is_ours(frame):
            return
        entered: FrameType | None = frame
        if event == "return":
            entered = frame.f_back
            while entered is not None and not _is_ours(entered):
                entered = entered.f_back
        if entered is None:
            return
        code = entered.f_code
        self.functions[code] = None
        if not code.co_name.startswith("<"):
            if self._file not in ("", code.co_filename):
                self.moves.add((self._file, code))
            self._file = code.co_filename


def _is_ours(frame: FrameType) -> bool:
    return frame.f_code.co_filename.startswith(SOURCE)


def bodies() -> Iterator[bytes]:
    """NDJSON of 301 new products each; the title of one of them is empty."""
    start = 0
    while True:
        lines = lines_of(RECORDS, start=start)
        lines[RECORDS // 2] = orjson.dumps({**orjson.loads(lines[RECORDS // 2]), "title": ""})
        yield b"\n".join(lines)
        start += RECORDS


def measure() -> tuple[Recording, Recording]:
    """Return the recordings of working and of receiving."""
    with tempfile.TemporaryDirectory(prefix="goodsgate-bench-") as folder:
        config = Config(store=f"{folder}/store")
        store = open_store(config)
        store.migrate()
        store.add_merchant(Merchant(id="bench", name="bench", created_at=datetime.now(UTC)))
        try:
            return _work(store, config), _receive(store, config)
        finally:
            store.close()


def _work(store: Any, config: Config) -> Recording:
    engine, sent = create_engine(store, config), bodies()

    def submit() -> None:
        submission = engine.submit(
            merchant="bench", kind=Kind.PRODUCT, collection="default", policy=Policy(), format="ndjson"
        )
        submission.write(next(sent))
        submission.finish()

    recording = Recording()
    worker = create_worker(store, config)
    try:
        for _ in range(2):
            submit()
            with recording.running():
                worker.step()
    finally:
        worker.close()
        recording.close()
    return recording


def _receive(store: Any, config: Config) -> Recording:
    recording, sent = Recording(), bodies()
    application = create_app(store, config)
    key, secret = new_key("bench", [Scope.SUBMIT])
    store.add_key(key)
    try:
        for _ in range(2):
            with recording.running():
                status = asyncio.run(_post(application, secret, next(sent)))
            assert status == 202, status
    finally:
        application.context.close()
        recording.close()
    return recording


async def _post(application: Any, secret: str, body: bytes) -> int:
    """Submit a body and return the status of the answer."""
    pieces = [body[at : at + PIECE_BYTES] for at in range(0, len(body), PIECE_BYTES)]
    messages = [{"type": "http.request", "body": piece, "more_body": piece is not pieces[-1]} for piece in pieces]
    statuses: list[int] = []

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    headers = {"authorization": f"Bearer {secret}", "content-type": "application/x-ndjson",
               "content-length": str(len(body)), "accept": "*/*",
               "idempotency-key": body[:100].hex()}
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
        "path": "/v1/batches", "raw_path": b"/v1/batches", "query_string": b"", "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
    }
    await application(scope, receive, send)
    return statuses[0]


def parts(_short: bool) -> Iterator[Figure]:
    """Yield the figures of both paths."""
    for name, recording, demands in zip(("work", "receive"), measure(), (WORK_DEMANDS, RECEIVE_DEMANDS), strict=True):
        for what, measured, demand in zip(("files", "functions", "moves"), recording.figures, demands, strict=True):
            yield Figure(f"{what} that a batch of 301 records passes, {name}", measured, demand, False)


if __name__ == "__main__":
    for name, recording in zip(("work", "receive"), measure(), strict=True):
        print("{}: {} files, {} functions, {} moves".format(name, *recording.figures))
        print("\n".join(f"    {line}" for line in recording.lines()))
