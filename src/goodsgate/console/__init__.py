"""The console: pages at ``/console`` for the people who ask where a feed is and why it is red.

Made on the gate from templates, with a few vendored files and nothing from another host; see README.md beside this
file. It asks the engine as the protocols do. Reading works without JavaScript.
"""

from collections.abc import Callable, Sequence

from starlette.responses import RedirectResponse
from starlette.routing import Route

from goodsgate.config import Config
from goodsgate.console.access import HOME, SignIn, SignOut
from goodsgate.console.assets import Assets
from goodsgate.console.batch import BatchPage
from goodsgate.console.catalogue import Catalogue
from goodsgate.console.changes import Changes
from goodsgate.console.endpoint import SIGN_IN, Endpoint, Handler
from goodsgate.console.health import Health
from goodsgate.console.history import History
from goodsgate.console.listing import Listing
from goodsgate.console.merchants import Merchants
from goodsgate.console.pages import Pages
from goodsgate.console.records import Records
from goodsgate.console.reference import Reference
from goodsgate.console.submit import Submit
from goodsgate.http.context import ServerContext
from goodsgate.store.contract import Store

OF = "/console/of/{merchant}"
BATCH = f"{OF}/batches/{{batch}}"


class Console:
    """Its routes, over the same door as the protocols."""

    def __init__(self, context: ServerContext, protocols: Sequence[tuple[str, str]], *, open_store: Callable[[Config],
                 Store]) -> None:
        """`protocols`: name and title of each. `open_store` opens one that is thrown away, for checks."""
        self._open_store = open_store
        self._context = context
        self.history = History(context)
        self._assets = Assets()
        self._pages = Pages(self._assets.address)
        self._protocols = {**dict(protocols), "console": "Console"}

    def routes(self) -> list[Route]:
        """For the router."""
        pages = self._paths()
        return [
            Route("/console", RedirectResponse(HOME)), Route("/console/", RedirectResponse(HOME)),
            Route(SIGN_IN, SignIn(self._context, self._pages)), Route(Assets.template, self._assets),
            *(Route(path, self._endpoint(path, *handlers)) for path, handlers in pages.items()),
        ]

    def _endpoint(self, path: str, get: Handler | None = None, post: Handler | None = None) -> Endpoint:
        return Endpoint(path, self._context, self._pages, get=get, post=post)

    def _paths(self) -> dict[str, tuple[Handler | None, ...]]:
        """Path → what answers GET, and what answers POST."""
        context, pages = self._context, self._pages
        batch, records = BatchPage(context, pages, self._protocols), Records(context, pages)
        catalogue, reference, merchants = Catalogue(context, pages), Reference(context, pages), Merchants(context,
            pages)
        health = Health(context, pages, self.history)
        submit = Submit(context, pages, open_store=self._open_store)
        return {
            "/console/sign-out": (None, SignOut(context).post),
            "/console/changes": (Changes(context).get,),
            "/console/batches": (Listing(context, pages, self._protocols).get,),
            BATCH: (batch.get,),
            f"{BATCH}/report": (batch.report,),
            f"{BATCH}/retry": (None, batch.retry),
            f"{BATCH}/cancel": (None, batch.cancel),
            f"{BATCH}/confirm": (None, batch.confirm),
            f"{BATCH}/take": (None, batch.take),
            f"{BATCH}/fix": (None, batch.fix),
            f"{BATCH}/records": (records.get,),
            f"{BATCH}/records/{{number}}": (None, records.mend),
            f"{OF}/submit": (submit.get,),
            f"{OF}/submit/look": (None, submit.look),
            f"{OF}/submit/check": (None, submit.check),
            f"{OF}/submit/send": (None, submit.send),
            f"{OF}/catalogue": (catalogue.get,),
            f"{OF}/catalogue/{{kind}}/{{collection}}": (catalogue.items,),
            f"{OF}/catalogue/{{kind}}/{{collection}}/item": (catalogue.item,),
            f"{OF}/reference": (reference.get,),
            f"{OF}/reference/{{kind}}": (reference.entries, reference.load),
            f"{OF}/reference/{{kind}}/used": (reference.used,),
            "/console/merchants": (merchants.get, merchants.add),
            "/console/merchants/{merchant}": (merchants.keys,),
            "/console/merchants/{merchant}/keys": (None, merchants.add_key),
            "/console/merchants/{merchant}/keys/{key}/revoke": (None, merchants.revoke),
            "/console/health": (health.get,),
            "/console/health/figures": (health.figures,),
        }


__all__ = ["Console"]
