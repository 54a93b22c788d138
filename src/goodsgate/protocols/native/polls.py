"""Status polls answered from memory: the commonest request there is, ahead of routing and threads."""

from starlette.types import Scope

from goodsgate.http.context import ServerContext, find_secret
from goodsgate.http.endpoints import CachedResponse
from goodsgate.http.long_poll import DocumentCache
from goodsgate.protocols.native.words import path_of

TEMPLATE = "/v1/batches/{batch}"
PREFIX = path_of("")
PATH_CHARACTERS = len(PREFIX) + 32


class Polls:
    """Answers ``GET /v1/batches/{batch}`` if caller and document are both known and nothing has changed."""

    def __init__(self, context: ServerContext, documents: DocumentCache) -> None:
        self._authenticator = context.authenticator
        self._documents = documents

    def cached_response(self, scope: Scope) -> CachedResponse | None:
        """The answer, or None where the long way has to be taken."""
        path: str = scope["path"]
        if len(path) != PATH_CHARACTERS or not path.startswith(PREFIX):
            return None
        if scope["method"] != "GET" or scope["query_string"]:
            return None
        headers: dict[bytes, bytes] = dict(scope["headers"])
        if b"goodsgate-merchant" in headers:
            return None
        secret = find_secret(headers)
        caller = self._authenticator.cached(secret) if secret is not None else None
        if caller is None or not caller.may("read"):
            return None
        document = self._documents.cached(caller.merchant, path[len(PREFIX) :])
        if document is None:
            return None
        held = headers.get(b"if-none-match")
        if held is None:
            return CachedResponse(TEMPLATE, 200, document.headers, document.body)
        return CachedResponse(TEMPLATE, 304, document.tag_headers, b"") if held == document.tag else None
