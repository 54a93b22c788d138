"""The console: pages at ``/console`` for the people who ask where a feed is and why it is red.

Made on the gate from templates, with a few vendored files and nothing from another host; see README.md beside this
file. It asks the engine as the faces do. Reading works without JavaScript.
"""

from collections.abc import Sequence

from starlette.responses import RedirectResponse
from starlette.routing import Route

from goodsgate.console.access import HOME, SignIn, SignOut
from goodsgate.console.assets import Assets
from goodsgate.console.changes import Changes
from goodsgate.console.endpoint import SIGN_IN, Endpoint, Handler
from goodsgate.console.listing import Listing
from goodsgate.console.pages import Pages
from goodsgate.faces.door import Door


class Console:
    """Its routes, over the same door as the faces."""

    def __init__(self, door: Door, faces: Sequence[tuple[str, str]]) -> None:
        """`faces`: name and title of each."""
        self._door = door
        self._assets = Assets()
        self._pages = Pages(self._assets.address)
        self._faces = [*faces]

    def routes(self) -> list[Route]:
        """For the router."""
        pages = self._paths()
        return [
            Route("/console", RedirectResponse(HOME)), Route("/console/", RedirectResponse(HOME)),
            Route(SIGN_IN, SignIn(self._door, self._pages)), Route(Assets.template, self._assets),
            *(Route(path, self._endpoint(path, *handlers)) for path, handlers in pages.items()),
        ]

    def _endpoint(self, path: str, get: Handler | None = None, post: Handler | None = None) -> Endpoint:
        return Endpoint(path, self._door, self._pages, get=get, post=post)

    def _paths(self) -> dict[str, tuple[Handler | None, ...]]:
        """Path → what answers GET, and what answers POST."""
        door, pages = self._door, self._pages
        return {
            "/console/sign-out": (None, SignOut(door).post),
            "/console/changes": (Changes(door).get,),
            "/console/batches": (Listing(door, pages, self._faces).get,),
        }


__all__ = ["Console"]
