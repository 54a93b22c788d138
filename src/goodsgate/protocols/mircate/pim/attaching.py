"""Images that are attached to products: kept, and written into the product through its lane."""

from collections.abc import Awaitable
from contextlib import ExitStack

import orjson
from starlette.responses import Response

from goodsgate.http.context import ServerContext
from goodsgate.model.batch import Kind
from goodsgate.protocols.mircate.answers import answer, bad, missing
from goodsgate.protocols.mircate.pim.guesses import COLLECTION
from goodsgate.protocols.mircate.pim.images import EXTENSIONS, IMAGE_BODY_BYTES_MAX, IMAGE_MB_MAX, Images, attached
from goodsgate.protocols.mircate.pim.keeping import Keeping
from goodsgate.protocols.mircate.pim.products import UPSERT, Products
from goodsgate.protocols.mircate.pim.settled import IMAGES, Attribute, Settled
from goodsgate.protocols.mircate.transport import Asked, Method, Transport

REQUIRED = ("image", "productId", "extension", "attributeCode")


class Attaching:
    """Attach Product Attribute Image."""

    def __init__(self, context: ServerContext, transport: Transport, keeping: Keeping, images: Images,
                 products: Products) -> None:
        self._context = context
        self._transport = transport
        self._keeping = keeping
        self._images = images
        self._products = products

    def methods(self) -> dict[str, Method]:
        """By operation id."""
        return {"attach_product_attribute_image": Method(work=self.attach, bytes_max=IMAGE_BODY_BYTES_MAX)}

    def attach(self, asked: Asked) -> Awaitable[Response]:
        """One image; nobody else attaches one to the same product meanwhile."""
        if not all(asked.arguments.get(name) for name in REQUIRED):
            raise bad("Invalid body!")
        self._context.change_signal.admit()
        with ExitStack() as stack:
            stack.enter_context(self._transport.exclusive(asked.merchant, f"image/{asked.arguments['productId']}"))
            kept, batch = self._handed_in(asked)
            return self._answered(asked, kept, batch, stack.pop_all())

    def _handed_in(self, asked: Asked) -> tuple[dict[str, str], str]:
        """The image, and the batch that writes it into the product."""
        id, code = asked.arguments["productId"], asked.arguments["attributeCode"]
        item = self._context.store.item(asked.merchant, Kind.PRODUCT, COLLECTION, id)
        if item is None:
            raise missing("Product not found!")
        settled = self._keeping.read(asked.merchant)
        record = orjson.loads(item.document)
        attribute = _of_images(settled, code, record["data"]["family"])
        allowed = attribute.allowed_extensions if isinstance(attribute.allowed_extensions, list) else EXTENSIONS
        most = attribute.max_file_size_in_mb if isinstance(attribute.max_file_size_in_mb, int | float) else IMAGE_MB_MAX
        kept = self._images.keep(
            asked.instance, asked.arguments["image"], asked.arguments["extension"], allowed=allowed, most_mb=most
        )
        place = {name: asked.arguments[name] for name in ("scope", "locale") if asked.arguments.get(name)}
        record["data"]["attributes"] = attached(
            record["data"].get("attributes", []), code, place, kept["filename"], many=attribute.type == "IMAGE_LIST"
        )
        try:
            batch = self._products.submit_body(asked, [orjson.dumps(record)], UPSERT, image=kept["filename"])
        except BaseException:
            self._images.drop(asked, {kept["filename"]})
            raise
        return kept, batch

    async def _answered(self, asked: Asked, kept: dict[str, str], batch: str, stack: ExitStack) -> Response:
        try:
            outcome = await self._products.outcome(asked.merchant, batch)
        finally:
            await self._context.run_in_thread(stack.close)
        if not outcome.ended:
            return answer({**kept, "batchId": batch}, status=202)
        return answer(kept) if outcome.refused is None else answer(outcome.refused, status=400)


def _of_images(settled: Settled, code: str, family: str) -> Attribute:
    attribute = settled.attribute.get(code)
    known = settled.family.get(family)
    mine = {one.attribute for one in known.attributes} if known is not None else set()
    if attribute is None or attribute.type not in IMAGES or code not in mine:
        raise bad("Invalid attribute!")
    return attribute
