"""Static files: ours and the vendored ones, told apart by a hash in their address so that they may be kept."""

import hashlib
from importlib.resources import files

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from goodsgate.http.problems import refuse

FOLDER = files(__package__) / "static"
MEDIA_TYPES = {
    "css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml",
}
KEPT = "public, max-age=31536000, immutable"


class Assets:
    """GET /console/static/{name}; read once."""

    template = "/console/static/{name}"

    def __init__(self) -> None:
        found = (file for file in FOLDER.iterdir() if file.name.rpartition(".")[2] in MEDIA_TYPES)
        self._bytes = {file.name: file.read_bytes() for file in found}
        self._tags = {name: hashlib.blake2b(text, digest_size=6).hexdigest() for name, text in self._bytes.items()}

    def address(self, name: str) -> str:
        """Where a file is; another address once it is another file."""
        return f"/console/static/{name}?{self._tags[name]}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer GET and HEAD; raises not_found, method_not_allowed."""
        if scope["method"] not in ("GET", "HEAD"):
            raise refuse("method_not_allowed", allow="GET, HEAD")
        name = scope["path_params"]["name"]
        text = self._bytes.get(name)
        if text is None:
            raise refuse("not_found")
        headers = {"content-type": MEDIA_TYPES[name.rpartition(".")[2]], "cache-control": KEPT}
        await Response(text, headers=headers)(scope, receive, send)
