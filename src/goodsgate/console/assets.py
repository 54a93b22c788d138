"""Static files; each URL carries a hash of the content, so that browsers may cache it for good."""

import hashlib
from importlib.resources import files

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from goodsgate.http.problems import refuse

FOLDER = files(__package__) / "static"
MEDIA_TYPES = {
    "css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml",
}
CACHE_CONTROL = "public, max-age=31536000, immutable"


class StaticAssets:
    """ASGI application for GET /console/static/{name}; reads the files once."""

    template = "/console/static/{name}"

    def __init__(self) -> None:
        paths = (path for path in FOLDER.iterdir() if path.name.rpartition(".")[2] in MEDIA_TYPES)
        self._contents = {path.name: path.read_bytes() for path in paths}
        self._hashes = {
            name: hashlib.blake2b(content, digest_size=6).hexdigest() for name, content in self._contents.items()
        }

    def url(self, name: str) -> str:
        """Return the URL of a file, which changes with its content."""
        return f"/console/static/{name}?{self._hashes[name]}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer GET and HEAD; raises not_found, method_not_allowed."""
        if scope["method"] not in ("GET", "HEAD"):
            raise refuse("method_not_allowed", allow="GET, HEAD")
        name = scope["path_params"]["name"]
        content = self._contents.get(name)
        if content is None:
            raise refuse("not_found")
        headers = {"content-type": MEDIA_TYPES[name.rpartition(".")[2]], "cache-control": CACHE_CONTROL}
        await Response(content, headers=headers)(scope, receive, send)
