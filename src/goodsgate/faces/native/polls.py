"""Status polls answered from memory: the commonest request there is, ahead of routing and threads."""

from starlette.types import Scope

from goodsgate.faces.door import Door, secret_of
from goodsgate.faces.native.words import path_of
from goodsgate.faces.routes import Quick
from goodsgate.faces.watching import Documents

TEMPLATE = "/v1/batches/{batch}"
PREFIX = path_of("")
PATH_CHARACTERS = len(PREFIX) + 32


class Polls:
    """Answers ``GET /v1/batches/{batch}`` if caller and document are both known and nothing has changed."""

    def __init__(self, door: Door, documents: Documents) -> None:
        self._keyring = door.keyring
        self._documents = documents

    def quick(self, scope: Scope) -> Quick | None:
        """The answer, or None where the long way has to be taken."""
        path: str = scope["path"]
        if len(path) != PATH_CHARACTERS or not path.startswith(PREFIX):
            return None
        if scope["method"] != "GET" or scope["query_string"]:
            return None
        headers: dict[bytes, bytes] = dict(scope["headers"])
        if b"goodsgate-merchant" in headers:
            return None
        secret = secret_of(headers)
        caller = self._keyring.cached(secret) if secret is not None else None
        if caller is None or not caller.may("read"):
            return None
        document = self._documents.fresh(caller.merchant, path[len(PREFIX) :])
        if document is None:
            return None
        held = headers.get(b"if-none-match")
        if held is None:
            return Quick(TEMPLATE, 200, document.headers, document.body)
        return Quick(TEMPLATE, 304, document.tag_headers, b"") if held == document.tag else None
