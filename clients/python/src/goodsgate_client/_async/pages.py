"""Lists that a gate returns in pages."""

from collections.abc import AsyncIterator
from typing import Any, Generic, TypeVar

from goodsgate_client._async.session import AsyncSession
from goodsgate_client.models import Model, Page

M = TypeVar("M", bound=Model)


class AsyncPages(Generic[M]):
    """The rows of a list, which are fetched page by page while they are read."""

    def __init__(self, session: AsyncSession, path: str, params: dict[str, Any], *, name: str, model: type[M]) -> None:
        """Send nothing yet; `name` is the member of the answer that holds the rows."""
        self._session, self._path, self._params = session, path, params
        self._name, self._model = name, model

    async def __aiter__(self) -> AsyncIterator[M]:
        async for page in self.pages():
            for row in page.rows:
                yield row

    async def pages(self) -> AsyncIterator[Page[M]]:
        """Yield the pages."""
        path: str | None = self._path
        params: dict[str, Any] | None = self._params
        while path:
            document = await self._session.request("GET", path, params=params)
            rows = [self._model.from_document(row) for row in document[self._name]]
            yield Page(rows=rows, next=document["next"])
            path, params = document["next"], None  # the link holds the parameters
