"""Spans of OpenTelemetry: from the request through the worker to the webhook, and none without the setting."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from goodsgate import app
from goodsgate.http.spans import SpanTracer
from goodsgate.model import tracing
from goodsgate.model.tracing import parse_traceparent
from tests.http_gate import HttpGate
from tests.protocols.webhook_receiver import Receiver
from tests.shop import Shop

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"
WORKED = ["read", "check", "apply", "commit"]


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    """Where the spans of this process go."""
    yield InMemorySpanExporter()
    tracing.install(None)


def _tracer(exporter: InMemorySpanExporter) -> SpanTracer:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = SpanTracer(provider)
    tracing.install(tracer)
    return tracer


def _trace_of(span: ReadableSpan) -> str:
    return f"{span.context.trace_id:032x}"


def _ids(span: ReadableSpan) -> tuple[str, str]:
    """The span's id and its parent's."""
    return f"{span.context.span_id:016x}", f"{span.parent.span_id:016x}" if span.parent is not None else ""


def test_one_trace_leads_from_the_request_to_the_webhook(tmp_path: Path, exporter: InMemorySpanExporter) -> None:
    """The span of the request is a child of the client's, and all others are below it."""
    receiver = Receiver()
    with Shop(tmp_path / "store", webhook_hosts="127.0.0.1", webhook_private="allow") as shop:
        gate = HttpGate(shop, tracer=_tracer(exporter))
        try:
            client = gate.client("acme", "admin")
            added = client.post("/v1/webhooks", json={"url": receiver.url, "events": ["batch.finished"]})
            assert added.status_code == 201, added.text
            answer = client.post("/v1/batches?format=ndjson", content=b'{"id": "A", "title": "Kettle"}',
                                 headers={"traceparent": TRACEPARENT, "x-request-id": "r-1"})
            batch = answer.json()["id"]
            assert client.get("/healthz").status_code == 200
            shop.work()
            (message,) = shop.store.claim_messages(lease_seconds=60, limit=1)
            outbox = app.create_outbox(shop.store, shop.config)
            outbox._attempt(message)
        finally:
            gate.close()
            receiver.close()
    finished = [span for span in exporter.get_finished_spans() if _trace_of(span) == TRACE]
    spans = {span.name: span for span in finished}
    assert sorted(span.name for span in finished) == sorted(["receive", "POST /v1/batches", *WORKED, "deliver"])
    request, above = _ids(spans["POST /v1/batches"])
    assert above == PARENT
    assert {_ids(spans[name])[1] for name in ("receive", *WORKED, "deliver")} == {request}
    attributes = spans["check"].attributes or {}
    assert (attributes["goodsgate.batch"], attributes["goodsgate.request"]) == (batch, "r-1")
    status = (spans["POST /v1/batches"].attributes or {})["http.response.status_code"]
    assert status == 202
    (arrived,) = receiver.arrived
    assert arrived[0]["traceparent"] == f"00-{TRACE}-{_ids(spans['deliver'])[0]}-01"


def test_batches_that_are_worked_together_have_own_spans(tmp_path: Path, exporter: InMemorySpanExporter) -> None:
    """One for each batch and step, whatever the number of records; a batch without a context is its own trace."""
    with Shop(tmp_path / "store") as shop:
        _tracer(exporter)
        batches = [shop.send([{"id": f"{number}-{each}", "title": "Pan"} for each in range(50)]) for number in range(3)]
        exporter.clear()
        shop.work()
        spans = exporter.get_finished_spans()
    for batch in batches:
        own = [span.name for span in spans if (span.attributes or {})["goodsgate.batch"] == batch]
        assert sorted(own) == sorted(WORKED)
        assert {_trace_of(span) for span in spans if (span.attributes or {})["goodsgate.batch"] == batch} == {batch}


def test_a_client_that_is_not_sampled_has_no_spans(tmp_path: Path, exporter: InMemorySpanExporter) -> None:
    """Its context goes on nevertheless."""
    with Shop(tmp_path / "store") as shop:
        gate = HttpGate(shop, tracer=_tracer(exporter))
        try:
            client = gate.client("acme")
            unsampled = {"traceparent": f"{TRACEPARENT[:-1]}0"}
            client.post("/v1/batches?format=ndjson", content=b'{"id": "A"}', headers=unsampled)
            claim = shop.store.claim("w", lease_seconds=60, rounds_max=1, bytes_max=10_000)
            assert claim is not None
        finally:
            gate.close()
    assert exporter.get_finished_spans() == ()
    kept = claim.rounds[0].origin.traceparent
    assert parse_traceparent(kept) == kept
    assert (kept[3:35], kept[-2:]) == (TRACE, "00")


def test_spans_arrive_at_a_collector(tmp_path: Path) -> None:
    """Over OTLP/HTTP, with the name and the version of the service."""
    bodies: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            bodies.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    collector = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=collector.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        with Shop(tmp_path / "store") as shop:
            config = msgspec.structs.replace(shop.config, traces=f"http://127.0.0.1:{collector.server_address[1]}")
            tracer = app.start_tracing(config, instance="worker-1")
            assert tracer is not None
            shop.send([{"id": "A", "title": "Pan"}])
            shop.work()
            tracer.close()
    finally:
        tracing.install(None)
        collector.shutdown()
        collector.server_close()
        thread.join()
    requests = [ExportTraceServiceRequest.FromString(body) for body in bodies]
    (resource, *_) = [each.resource for request in requests for each in request.resource_spans]
    described = {each.key: each.value.string_value for each in resource.attributes}
    assert (described["service.name"], described["service.instance.id"]) == ("goodsgate", "worker-1")
    names = [
        span.name for request in requests for each in request.resource_spans
        for scope in each.scope_spans for span in scope.spans
    ]
    assert names == ["receive", *WORKED]


def test_nothing_of_opentelemetry_is_loaded_without_the_setting() -> None:
    """Neither by the API nor by a worker."""
    program = """
import sys
from goodsgate import app
from goodsgate.config import Config
import goodsgate.cli.serve, goodsgate.http.application, goodsgate.engine
assert app.start_tracing(Config(), instance="x") is None
assert not any(name.startswith("opentelemetry") for name in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
