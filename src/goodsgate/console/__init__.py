"""The console: pages at ``/console`` on which people follow their feeds and correct rejected records.

Pages are rendered on the server from templates, with a few vendored files and nothing from other hosts; see README.md
in this folder. The console uses the engine as the protocols do. Reading works without JavaScript.
"""

from collections.abc import Sequence

from starlette.responses import RedirectResponse
from starlette.routing import Route

from goodsgate.console.access import HOME_PATH, SignInPage, SignOut
from goodsgate.console.assets import StaticAssets
from goodsgate.console.audit import AuditPage
from goodsgate.console.batch import BatchPage
from goodsgate.console.batches import BatchListPage
from goodsgate.console.catalogue import CataloguePages
from goodsgate.console.change_events import ChangeEvents
from goodsgate.console.destinations import DestinationPages
from goodsgate.console.diff import DiffPage
from goodsgate.console.edits import ItemEdits
from goodsgate.console.endpoint import SIGN_IN_PATH, ConsoleEndpoint, Handler
from goodsgate.console.grid import GridPage
from goodsgate.console.guards import GuardPages
from goodsgate.console.health import HealthPage
from goodsgate.console.merchants import MerchantPages
from goodsgate.console.metrics_history import MetricsHistory
from goodsgate.console.openid import CALLBACK_PATH, OPENID_PATH, SIGN_OUT_PATH, OpenIdEndpoint, OpenIdPages
from goodsgate.console.permissions import BATCH, MERCHANT
from goodsgate.console.records import RecordsPage
from goodsgate.console.reference import ReferencePages
from goodsgate.console.rendering import PageRenderer
from goodsgate.console.rules import RulePages
from goodsgate.console.scorecard import ScorecardPage
from goodsgate.console.sign_ins import SignIns
from goodsgate.console.sources import SourcePages
from goodsgate.console.submit import SubmitPage
from goodsgate.console.traffic import TrafficPage
from goodsgate.console.webhooks import WebhookPages
from goodsgate.engine.dry_run import DryRunner
from goodsgate.http.context import ServerContext
from goodsgate.http.openid import OpenIdProvider


class Console:
    """The console's routes, over the same server context as the protocols."""

    def __init__(self, context: ServerContext, protocols: Sequence[tuple[str, str]], *, dry_runner: DryRunner,
                 openid: OpenIdProvider | None = None) -> None:
        """`protocols`: name and title of each. `openid` is with whom people may sign in."""
        self._openid = openid
        self._sign_ins = SignIns(context)
        self._dry_runner = dry_runner
        self._context = context
        self.history = MetricsHistory(context)
        self._assets = StaticAssets()
        self._renderer = PageRenderer(self._assets.url)
        self._protocols = {**dict(protocols), "console": "Console"}

    def routes(self) -> list[Route]:
        """Return the routes for the router."""
        return [
            Route("/console", RedirectResponse(HOME_PATH)), Route("/console/", RedirectResponse(HOME_PATH)),
            Route(SIGN_IN_PATH, SignInPage(
                self._context, self._renderer, self._sign_ins,
                openid_name=self._openid.settings.name if self._openid else ""
            )),
            *self._openid_routes(),
            Route(StaticAssets.template, self._assets),
            *(Route(path, self._endpoint(path, *handlers)) for path, handlers in self.handlers().items()),
        ]

    def _openid_routes(self) -> list[Route]:
        if self._openid is None:
            return []
        pages = OpenIdPages(self._context, self._renderer, self._sign_ins, self._openid)
        paths = (OPENID_PATH, CALLBACK_PATH, SIGN_OUT_PATH)
        return [Route(path, OpenIdEndpoint(path, pages, self._context)) for path in paths]

    def _endpoint(self, path: str, get: Handler | None = None, post: Handler | None = None) -> ConsoleEndpoint:
        return ConsoleEndpoint(path, self._context, self._renderer, get=get, post=post)

    def handlers(self) -> dict[str, tuple[Handler | None, ...]]:
        """Return path → handler of GET, and handler of POST."""
        return self._batch_handlers() | self._merchant_handlers() | self._gate_handlers()

    def _batch_handlers(self) -> dict[str, tuple[Handler | None, ...]]:
        """Return the handlers of the list of batches, and of what concerns one."""
        context, renderer = self._context, self._renderer
        batch, records = BatchPage(context, renderer, self._protocols), RecordsPage(context, renderer)
        grid = GridPage(context, renderer)
        return {
            "/console/batches": (BatchListPage(context, renderer, self._protocols).get,),
            BATCH: (batch.get,),
            f"{BATCH}/report": (batch.report,),
            f"{BATCH}/diff": (DiffPage(context, renderer).get,),
            f"{BATCH}/retry": (None, batch.retry), f"{BATCH}/cancel": (None, batch.cancel),
            f"{BATCH}/confirm": (None, batch.confirm),
            f"{BATCH}/approve": (None, batch.approve), f"{BATCH}/discard": (None, batch.discard),
            f"{BATCH}/revert": (batch.preview_revert, batch.revert),
            f"{BATCH}/accept-suggestions": (None, batch.accept_suggestions),
            f"{BATCH}/fix": (None, batch.fix), f"{BATCH}/fix/preview": (None, batch.preview_fix),
            f"{BATCH}/grid": (grid.get, grid.save), f"{BATCH}/grid/rows": (grid.rows, grid.refresh),
            f"{BATCH}/records": (records.get,), f"{BATCH}/records/{{number}}": (None, records.correct),
        }

    def _merchant_handlers(self) -> dict[str, tuple[Handler | None, ...]]:
        """Return the handlers of the pages of one merchant."""
        context, renderer = self._context, self._renderer
        submit, edits = SubmitPage(context, renderer, self._dry_runner), ItemEdits(context)
        catalogue, reference = CataloguePages(context, renderer), ReferencePages(context, renderer)
        guards, rules = GuardPages(context, renderer), RulePages(context, renderer, self._dry_runner)
        webhooks, merchants = WebhookPages(context, renderer), MerchantPages(context, renderer)
        sources, destinations = SourcePages(context, renderer, self._dry_runner), DestinationPages(context, renderer)
        items = f"{MERCHANT}/catalogue/{{kind}}/{{collection}}"
        return {
            f"{MERCHANT}/submit": (submit.get, submit.submit),
            f"{MERCHANT}/submit/preview": (None, submit.preview),
            f"{MERCHANT}/submit/profile": (None, submit.save_profile),
            f"{MERCHANT}/submit/validate": (None, submit.validate),
            f"{MERCHANT}/catalogue": (catalogue.collections,),
            items: (catalogue.items,), f"{items}/item": (catalogue.item,),
            f"{items}/item/edit": (None, edits.edit), f"{items}/item/unlock": (None, edits.unlock),
            f"{MERCHANT}/reference": (reference.kinds,),
            f"{MERCHANT}/reference/{{kind}}": (reference.entries, reference.load),
            f"{MERCHANT}/reference/{{kind}}/usage": (reference.usage,),
            f"{MERCHANT}/webhooks": (webhooks.webhooks, webhooks.add),
            f"{MERCHANT}/webhooks/{{number}}": (webhooks.webhook, webhooks.act),
            f"{MERCHANT}/sources": (sources.sources, sources.act), f"{MERCHANT}/sources/{{name}}": (sources.source,),
            f"{MERCHANT}/destinations": (destinations.destinations, destinations.save),
            f"{MERCHANT}/destinations/{{name}}": (destinations.destination, destinations.act),
            f"{MERCHANT}/guards": (guards.guards, guards.act), f"{MERCHANT}/guards/{{name}}": (guards.guard,),
            f"{MERCHANT}/rules": (rules.rules, rules.act), f"{MERCHANT}/rules/{{name}}": (rules.rule,),
            MERCHANT: (merchants.keys, merchants.rename),
            f"{MERCHANT}/keys": (None, merchants.add_key),
            f"{MERCHANT}/keys/{{key}}": (None, merchants.change_key),
            f"{MERCHANT}/keys/{{key}}/rotate": (None, merchants.rotate),
            f"{MERCHANT}/keys/{{key}}/revoke": (None, merchants.revoke),
            f"{MERCHANT}/audit": (AuditPage(context, renderer).merchant,),
        }

    def _gate_handlers(self) -> dict[str, tuple[Handler | None, ...]]:
        """Return the handlers of the pages of the whole gate, and of sessions."""
        context, renderer = self._context, self._renderer
        merchants, scorecard = MerchantPages(context, renderer), ScorecardPage(context, renderer)
        health = HealthPage(context, renderer, self.history)
        return {
            "/console/sign-out": (None, SignOut(context).post),
            "/console/changes": (ChangeEvents(context).get,),
            "/console/merchants": (merchants.merchants, merchants.add_merchant),
            "/console/audit": (AuditPage(context, renderer).installation,),
            "/console/scorecard": (scorecard.get,),
            "/console/scorecard/csv": (scorecard.download,),
            "/console/traffic": (TrafficPage(context, renderer).get,),
            "/console/health": (health.get,),
            "/console/health/figures": (health.figures,),
        }


__all__ = ["Console"]
