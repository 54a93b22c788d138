"""A served gate in processes of its own, on loopback, with a store that goes away."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx


class Gate:
    """`goodsgate serve` with one worker, and what its processes cost."""

    def __init__(self, **settings: object) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="goodsgate-bench-")
        store = Path(self._folder.name) / "store"
        self._environ = {
            **os.environ, "GOODSGATE_STORE": str(store),
            **{f"GOODSGATE_{name.upper()}": str(value) for name, value in settings.items()},
        }
        self.store = self._environ["GOODSGATE_STORE"]
        self.database = urlsplit(self._environ["GOODSGATE_STORE"]).path[1:]
        """Name of the store's database, if it is one."""
        self.key = self.add_merchant("bench")
        self._serve = subprocess.Popen(
            [sys.executable, "-m", "goodsgate", "serve", "--port", "0"], env=self._environ, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True,
        )
        assert self._serve.stdout is not None
        try:
            self.url = self._wait_for_address()
        except BaseException:  # a signal, too, leaves nothing running
            self._serve.kill()
            raise
        self._environ |= {"GOODSGATE_URL": self.url, "GOODSGATE_KEY": self.key}
        self._drain = threading.Thread(target=self._serve.stdout.read, daemon=True)
        self._drain.start()
        self.client = httpx.Client(
            base_url=self.url, headers={"Authorization": f"Bearer {self.key}"}, timeout=600,
            limits=httpx.Limits(max_keepalive_connections=4),
        )
        self.peaks: dict[str, float] = {}
        self._watching = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def _wait_for_address(self) -> str:
        assert self._serve.stdout is not None
        for line in self._serve.stdout:
            if found := re.search(r"http://[0-9.:]+", line):
                return found.group()
        raise RuntimeError("the gate did not start")

    def add_merchant(self, name: str) -> str:
        """Add a merchant and return its key."""
        return str(json.loads(self.run("merchant", "add", name, "--json"))["key"])

    def run(self, *words: str) -> str:
        """Run `goodsgate` with these arguments and return its output; it knows the gate's address and key."""
        return subprocess.run(
            [sys.executable, "-m", "goodsgate", *words], env=self._environ, check=True, capture_output=True, text=True
        ).stdout

    def pids(self) -> dict[str, int]:
        """Process ids of API and worker."""
        tasks = Path(f"/proc/{self._serve.pid}/task").glob("*/children")
        children = [child for task in tasks for child in task.read_text().split()]
        return {"api": self._serve.pid} | ({"worker": int(children[0])} if children else {})

    def _watch(self) -> None:
        while not self._watching.wait(0.05):
            for name in self.pids():
                self.peaks[name] = max(self.peaks.get(name, 0.0), self.resident(name))

    def resident(self, name: str) -> float:
        """Memory of a process now, in MB; 0 if it is gone."""
        try:
            status = Path(f"/proc/{self.pids()[name]}/status").read_text()
        except (OSError, KeyError):
            return 0.0
        found = re.search(r"VmRSS:\s+(\d+)", status)
        return int(found.group(1)) / 1024 if found else 0.0

    def submit(self, body: bytes | Iterator[bytes], *, media: str = "application/x-ndjson",
               content_encoding: str | None = None,
               key: str | None = None, **query: str) -> str:
        """Submit a body and return the id of the new batch; `key` is another merchant's."""
        headers = {"Authorization": f"Bearer {key or self.key}", "Content-Type": media}
        if content_encoding:
            headers["Content-Encoding"] = content_encoding
        # The standard library's client sends bytes as they are: a client that costs as much as the gate hides it.
        client = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=600)
        client.request("POST", f"/v1/batches?{urlencode(query)}", body=body, headers=headers)
        answer = client.getresponse()
        text = answer.read()
        client.close()
        if answer.status != 202:
            raise RuntimeError(text.decode())
        return str(json.loads(text)["id"])

    @contextmanager
    def visit(self, key: str) -> Iterator[Callable[..., dict[str, Any]]]:
        """Open a connection of a merchant: method, path and perhaps NDJSON in, the answer's document out.

        The client is the standard library's, as for `submit`.
        """
        client = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=60)
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/x-ndjson"}

        def ask(method: str, path: str, body: bytes | None = None) -> dict[str, Any]:
            client.request(method, path, body, headers)
            answer = client.getresponse()
            text = answer.read()
            if answer.status >= 300:
                raise RuntimeError(text.decode())
            document: dict[str, Any] = json.loads(text)
            return document

        try:
            yield ask
        finally:
            client.close()

    def finish(self, batch: str, *, key: str | None = None) -> dict[str, Any]:
        """Wait for a batch by long polls, as the command line does, and return its document."""
        headers = {"Authorization": f"Bearer {key or self.key}"}
        while True:
            asked = self.client.get(f"/v1/batches/{batch}", params={"wait": 30}, headers=headers)
            document: dict[str, Any] = asked.json()
            if document["state"] in ("finished", "cancelled", "broken"):
                return document

    def load(self, body: bytes, **query: str) -> tuple[float, dict[str, Any]]:
        """Seconds from the first byte sent to finished, and the document."""
        begin = time.perf_counter()
        document = self.finish(self.submit(body, **query))
        return time.perf_counter() - begin, document

    def close(self) -> None:
        """Stop everything and remove the store."""
        self._watching.set()
        self.client.close()
        self._serve.send_signal(signal.SIGTERM)
        try:
            self._serve.wait(30)
        except subprocess.TimeoutExpired:
            self._serve.kill()
            self._serve.wait()
        self._drain.join()
        assert self._serve.stdout is not None
        self._serve.stdout.close()
        self._folder.cleanup()

    def __enter__(self) -> "Gate":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
