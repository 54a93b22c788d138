"""Spans of OpenTelemetry: those of requests, and the steps of workers and deliveries below them.

Only a process whose settings ask for traces imports this module. A span of a worker is a child of the span of the
request that submitted the batch; that of a batch without a trace context begins a trace whose id is the batch's.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID, SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from goodsgate import __version__
from goodsgate.observe import MERCHANT, REQUEST_ID

if TYPE_CHECKING:
    from goodsgate.model.tracing import TracedRound

HEADER = "traceparent"
UNTRACED_PATHS = ("/healthz", "/readyz", "/metrics")
"""Paths that monitoring systems read all the time."""
_propagator = TraceContextTextMapPropagator()


def create_provider(url: str, *, instance: str) -> TracerProvider:
    """Return a provider that sends spans to an OTLP/HTTP receiver.

    Further settings are the variables of OpenTelemetry, such as ``OTEL_TRACES_SAMPLER``.
    """
    resource = Resource.create({SERVICE_VERSION: __version__, SERVICE_INSTANCE_ID: instance})
    if str(resource.attributes.get(SERVICE_NAME, "")).startswith("unknown_service"):
        resource = resource.merge(Resource({SERVICE_NAME: "goodsgate"}))
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{url.rstrip('/')}/v1/traces")))
    return provider


class SpanTracer:
    """Implements Tracer with OpenTelemetry."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self.tracer = provider.get_tracer("goodsgate", __version__)

    def close(self) -> None:
        """Send what is left."""
        self._provider.shutdown()

    @contextmanager
    def step(self, name: str, rounds: "tuple[TracedRound, ...]") -> Iterator[None]:
        """Record a step of a worker, once for each of the rounds that take it together."""
        began_at, fault = time.time_ns(), None
        try:
            yield
        except BaseException as raised:
            fault = raised
            raise
        finally:
            ended_at = time.time_ns()
            for round in rounds:
                context = _context_of(round.origin.traceparent or f"00-{round.batch}-{round.batch[-16:]}-01")
                span = self.tracer.start_span(name, context, start_time=began_at, attributes={
                    "goodsgate.merchant": round.merchant, "goodsgate.batch": round.batch,
                    "goodsgate.round": round.number, "goodsgate.request": round.origin.request,
                })
                _end(span, fault, ended_at)

    @contextmanager
    def receive(self, merchant: str, batch: str, began_at: int) -> Iterator[None]:
        """Record how a submission is received, from `began_at` in nanoseconds until it is durable."""
        span = self.tracer.start_span("receive", start_time=began_at, attributes={
            "goodsgate.merchant": merchant, "goodsgate.batch": batch,
        })
        fault = None
        try:
            yield
        except BaseException as raised:
            fault = raised
            raise
        finally:
            _end(span, fault, time.time_ns())

    @contextmanager
    def delivery(self, topic: str, traceparent: str) -> Iterator[str]:
        """Record the delivery of a message, and return its trace context."""
        context = _context_of(traceparent) if traceparent else Context()
        with self.tracer.start_as_current_span(
            "deliver", context, kind=SpanKind.CLIENT, attributes={"goodsgate.topic": topic}
        ) as span:
            yield _traceparent_of(span)


class TracedApplication:
    """ASGI application with a span for each request; what the application reads as `traceparent` is that of the span.
    """

    def __init__(self, application: ASGIApp, tracer: SpanTracer) -> None:
        self._application = application
        self._tracer = tracer.tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request as the application does."""
        if scope["type"] != "http" or scope["path"] in UNTRACED_PATHS:
            await self._application(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        status = 0

        async def send_seen(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        method = scope["method"]
        with self._tracer.start_as_current_span(
            method, _propagator.extract(headers, Context()), kind=SpanKind.SERVER,
            attributes={"http.request.method": method, "url.path": scope["path"], "url.scheme": scope["scheme"]},
        ) as span:
            others = [header for header in scope["headers"] if header[0] != HEADER.encode()]
            scope["headers"] = [*others, (HEADER.encode(), _traceparent_of(span).encode())]
            await self._application(scope, receive, send_seen)
            route = getattr(scope.get("endpoint"), "template", "")
            span.update_name(f"{method} {route}" if route else method)
            span.set_attributes({
                "http.route": route, "http.response.status_code": status,
                "goodsgate.request": scope.get(REQUEST_ID, ""), "goodsgate.merchant": scope.get(MERCHANT, ""),
            })
            if status >= 500:
                span.set_status(Status(StatusCode.ERROR))


def _context_of(traceparent: str) -> Context:
    return _propagator.extract({HEADER: traceparent}, Context())


def _traceparent_of(span: Span) -> str:
    carrier: dict[str, str] = {}
    _propagator.inject(carrier, trace.set_span_in_context(span, Context()))
    return carrier.get(HEADER, "")


def _end(span: Span, fault: BaseException | None, ended_at: int) -> None:
    if fault is not None:
        span.record_exception(fault)
        span.set_status(Status(StatusCode.ERROR))
    span.end(ended_at)
