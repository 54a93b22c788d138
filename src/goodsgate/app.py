"""The application: settings → store → engine → protocols → ASGI. The only file that knows everyone."""

import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import uvicorn
from starlette.responses import RedirectResponse, Response
from starlette.routing import Match, Route, Router
from starlette.types import Message, Receive, Scope, Send

from goodsgate.config import Config
from goodsgate.console import Console
from goodsgate.engine import Engine, Worker
from goodsgate.engine.outbox import Outbox
from goodsgate.engine.refusal import Refusal
from goodsgate.engine.secrets import Secrets
from goodsgate.engine.stock import Stock
from goodsgate.http.context import ServerContext
from goodsgate.http.docs import Docs, Reading
from goodsgate.http.endpoints import REQUEST_ID, RefusalSerializer, problem_response
from goodsgate.http.known_settings import KnownSettings
from goodsgate.http.problems import refuse
from goodsgate.http.server_limits import bounded_http
from goodsgate.http.services import HttpLimits, ProtocolServices, ProtocolSettings, WebhookSettings
from goodsgate.observe import RequestIds, log_request, logger
from goodsgate.protocols import load_couriers, load_known_settings, load_protocols, load_schemas
from goodsgate.rules import Schema
from goodsgate.store.contract import Store
from goodsgate.store.objects import Objects, open_objects
from goodsgate.store.sqlite import SqliteStore

KEEP_ALIVE_SECONDS = 75
GRACE_SECONDS = 10
"""Requests under way when the gate is told to stop have this long; a submission cut off leaves nothing behind."""

SERVERS = ("postgresql://", "postgres://")
"""What the address of a store begins with that is no folder."""

NO_SNIFFING = (b"x-content-type-options", b"nosniff")
"""All that JSON needs; other answers could be opened in a browser."""
REFERRER = (b"referrer-policy", b"no-referrer")
NOTHING_ELSE = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
"""For answers that bring no policy of their own."""


def open_store(config: Config) -> Store:
    """The store that the settings name, as it is; `migrate` brings its schema up to date. Raises StoreError."""
    if config.store.startswith(SERVERS):
        from goodsgate.store.postgres import PostgresStore  # the driver takes a while to load

        return PostgresStore(
            config.store, connections_max=config.connections_max, small_payload_bytes=config.small_payload_bytes
        )
    return SqliteStore(
        Path(config.store), cache_bytes=config.catalogue_cache_bytes, small_payload_bytes=config.small_payload_bytes
    )


def known_settings() -> KnownSettings:
    """Return the settings of keys and merchants that the protocols know."""
    return load_known_settings()


def create_secrets(store: Store, config: Config) -> Secrets:
    """Return the secrets that are derived from the master secrets of the settings, or else of the store."""
    return Secrets(store, config)


def create_engine(store: Store, config: Config) -> Engine:
    """Return the engine over a store, for requests."""
    return Engine(store, config, secrets=create_secrets(store, config), stock=Stock(store))


def create_worker(store: Store, config: Config, name: str | None = None, *,
                  schemas: Mapping[str, Schema] | None = None) -> Worker:
    """Return a worker that knows the given schemas, by default those of every protocol."""
    return Worker(store, config, name, schemas=load_schemas() if schemas is None else schemas)


def create_outbox(store: Store, config: Config) -> Outbox:
    """Return the outbox with the couriers of every protocol; start it beside a worker and stop it after the worker."""
    return Outbox(store, load_couriers(create_services(store, config)), config)


def create_app(store: Store, config: Config, *, workers_alive: Callable[[], int] | None = None) -> "Application":
    """Return the gate as an ASGI application; `workers_alive` counts the worker processes that this process watches."""
    engine = create_engine(store, config)
    services = create_services(store, config, secrets=engine.secrets, stock=engine.stock)
    return Application(ServerContext(engine, services, http_limits(config), config, workers_alive=workers_alive))


def create_services(store: Store, config: Config, *, secrets: Secrets | None = None,
                    stock: Stock | None = None) -> ProtocolServices:
    """Return what the protocols share in one process. Raises StoreError if `reports` names no usable bucket."""
    return ProtocolServices(
        store=store, secrets=secrets or create_secrets(store, config), stock=stock or Stock(store),
        settings=protocol_settings(config), known_settings=load_known_settings(),
        open_images=partial(open_objects, config.images, store=config.store, name="images", setting="images"),
        open_exports=partial(open_objects, config.exports, store=config.store, name="exports", setting="exports"),
        reports=Objects(config.reports) if config.reports else None,
        config=config,
    )


def http_limits(config: Config) -> HttpLimits:
    """Return the bounds of requests."""
    return HttpLimits(**{name: getattr(config, name) for name in HttpLimits.__struct_fields__})


def protocol_settings(config: Config) -> ProtocolSettings:
    """Return what protocols read of the settings."""
    host = f"[{config.host}]" if ":" in config.host else config.host
    return ProtocolSettings(
        public_url=config.public_url.rstrip("/"), local_url=f"http://{host}:{config.port}",
        rate_limits=config.rate_limits == "on", verify_signatures=config.signatures == "verify",
        call_aliases=config.call_aliases, token_seconds=config.token_hours * 3600, order_days=config.order_days,
        courier_seconds=config.courier_seconds, delivery_seconds=config.delivery_seconds,
        delivery_retries_max=len(config.delivery_retry_seconds.split(",")),
        webhooks=WebhookSettings(
            hosts=frozenset(host.strip().lower() for host in config.webhook_hosts.split(",") if host.strip()),
            allow_private=config.webhook_private == "allow",
        ),
    )


def server_config(application: "Application") -> uvicorn.Config:
    """How uvicorn is to serve the application, with the bounds that keep slow and large headers out."""
    return uvicorn.Config(
        application, loop="uvloop", http=bounded_http(application.close_sessions), ws="none", lifespan="on",
        log_config=None, access_log=False, server_header=False, proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS, timeout_graceful_shutdown=GRACE_SECONDS, backlog=2048,
    )


class Page(Route):
    """For who asks for a page, as browsers do: what stands at the same path for others is a protocol's."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Not unless HTML is asked for."""
        wanted = next((value for name, value in scope["headers"] if name == b"accept"), b"")
        return super().matches(scope) if b"text/html" in wanted else (Match.NONE, {})


class Application:
    """Gives every request an id, every answer its headers, every outcome its line and its count."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self.protocols = protocols = load_protocols(context)
        self._cached_responses = [each.cached_response for each in protocols if each.cached_response is not None]
        routes = [Page("/", Reading(partial(RedirectResponse, "/docs"))), *Docs(protocols).routes()]
        for protocol in protocols:
            routes += protocol.routes(context)
        self._console = Console(context, [(protocol.name, protocol.title) for protocol in protocols],
            open_store=open_store)
        routes += self._console.routes()
        self.router = Router(routes, redirect_slashes=False, default=_nothing_here)
        self._ids = RequestIds()

    def close_sessions(self) -> None:
        """Answer long polls and end event streams now."""
        self._context.change_signal.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        began = time.perf_counter()
        if scope["path"].startswith("//"):
            scope = self._collapsed(scope)
        for cached_response in self._cached_responses:
            answer = cached_response(scope)
            if answer is not None:
                request_id = self._ids.of(_given_id(scope))
                headers = [*answer.headers, NO_SNIFFING, (b"x-request-id", request_id.encode())]
                await send({"type": "http.response.start", "status": answer.status, "headers": headers})
                await send({"type": "http.response.body", "body": answer.body})
                self._seen(scope, answer.route, answer.status, request_id, began)
                return
        await self._long_way(scope, receive, send, began)

    def _collapsed(self, scope: Scope) -> Scope:
        """A base URL that ends with a slash, put before a path: some protocols publish it so."""
        path = f"/{scope['path'].lstrip('/')}"
        mine = any(protocol.prefixes and path.startswith(protocol.prefixes) for protocol in self.protocols)
        return {**scope, "path": path} if mine else scope

    async def _long_way(self, scope: Scope, receive: Receive, send: Send, began: float) -> None:
        request_id = scope[REQUEST_ID] = self._ids.of(_given_id(scope))
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = [*message["headers"], NO_SNIFFING, REFERRER, (b"x-request-id", request_id.encode())]
                if not any(name == b"content-security-policy" for name, _ in own):
                    own.append(NOTHING_ELSE)
                message["headers"] = own
            await send(message)

        try:
            await self.router(scope, receive, sending)
        except Refusal as refusal:
            await self._refusal(refusal, scope)(scope, receive, sending)
        except Exception as fault:
            logger.error("fault at the door", exc_info=fault, extra={"request": request_id})
            if status:
                raise
            await self._refusal(refuse("internal_fault"), scope)(scope, receive, sending)
        self._seen(scope, _route(scope), status or 499, request_id, began)

    def _refusal(self, refusal: Refusal, scope: Scope) -> Response:
        """Return the refusal in the format of the protocol that owns the path, else as a problem document."""
        owners = (each for each in self.protocols if each.prefixes and scope["path"].startswith(each.prefixes))
        owner = next(owners, None)
        serialize: RefusalSerializer = owner.serialize_refusal if owner is not None else problem_response
        status, headers, body = serialize(refusal, scope)
        return Response(body, status_code=status, headers=headers)

    def _seen(self, scope: Scope, route: str, status: int, request_id: str, began: float) -> None:
        seconds = time.perf_counter() - began
        self._context.metrics.count_request(route=route, method=scope["method"], status=status, seconds=seconds)
        log_request(
            request=request_id, method=scope["method"], route=route, path=scope["path"], status=status, seconds=seconds
        )

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        self._console.history.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._console.history.stop()
        self._context.close()
        await send({"type": "lifespan.shutdown.complete"})


def _given_id(scope: Scope) -> bytes | None:
    return next((value for name, value in scope["headers"] if name == b"x-request-id"), None)


def _route(scope: Scope) -> str:
    template: str | None = getattr(scope.get("endpoint"), "template", None)
    if template is not None:
        return template
    return "/docs" if scope["path"].startswith("/docs") else "none"


async def _nothing_here(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise refuse("not_found")
