"""Images that are attached to products: stored, and written into the product by a batch."""

from collections.abc import Awaitable
from contextlib import ExitStack

from starlette.responses import Response

from goodsgate.http.context import ServerContext
from goodsgate.model.batch import Kind
from goodsgate.model.json_text import read_json, write_json
from goodsgate.protocols.mircate.dispatcher import CallDispatcher, CallMethod, MethodCall
from goodsgate.protocols.mircate.pim.configuration import IMAGES, PimConfiguration, ProductAttribute
from goodsgate.protocols.mircate.pim.configuration_store import ConfigurationStore
from goodsgate.protocols.mircate.pim.images import (
    EXTENSIONS,
    IMAGE_BODY_BYTES_MAX,
    IMAGE_MB_MAX,
    ImageMethods,
    attach_image,
)
from goodsgate.protocols.mircate.pim.products import UPSERT, ProductMethods
from goodsgate.protocols.mircate.pim.unpublished import COLLECTION
from goodsgate.protocols.mircate.responses import bad_request, json_response, not_found

REQUIRED = ("image", "productId", "extension", "attributeCode")


class ProductImageMethods:
    """Method Attach Product Attribute Image."""

    def __init__(self, context: ServerContext, dispatcher: CallDispatcher, configurations: ConfigurationStore,
                 images: ImageMethods, products: ProductMethods) -> None:
        self._context = context
        self._dispatcher = dispatcher
        self._configurations = configurations
        self._images = images
        self._products = products

    def methods(self) -> dict[str, CallMethod]:
        """Return the methods by operation id."""
        return {"attach_product_attribute_image": CallMethod(work=self.attach, bytes_max=IMAGE_BODY_BYTES_MAX)}

    def attach(self, call: MethodCall) -> Awaitable[Response]:
        """Attach one image; no other image can be attached to the same product meanwhile."""
        if not all(call.arguments.get(name) for name in REQUIRED):
            raise bad_request("Invalid body!")
        self._context.sessions.hold(call.request.http.scope, call.merchant)
        with ExitStack() as stack:
            stack.enter_context(self._dispatcher.exclusive(call.merchant, f"image/{call.arguments['productId']}"))
            image, batch = self._submit(call)
            return self._wait(call, image, batch, stack.pop_all())

    def _submit(self, call: MethodCall) -> tuple[dict[str, str], str]:
        """Store the image and submit the batch that writes it into the product."""
        id, code = call.arguments["productId"], call.arguments["attributeCode"]
        item = self._context.store.item(call.merchant, Kind.PRODUCT, COLLECTION, id)
        if item is None:
            raise not_found("Product not found!")
        configuration = self._configurations.read(call.merchant)
        record = read_json(item.document)
        attribute = _image_attribute(configuration, code, record["data"]["family"])
        allowed = attribute.allowed_extensions if isinstance(attribute.allowed_extensions, list) else EXTENSIONS
        most = attribute.max_file_size_in_mb if isinstance(attribute.max_file_size_in_mb, int | float) else IMAGE_MB_MAX
        image = self._images.store_image(
            call.instance, call.arguments["image"], call.arguments["extension"], allowed=allowed, most_mb=most
        )
        scope = {name: call.arguments[name] for name in ("scope", "locale") if call.arguments.get(name)}
        record["data"]["attributes"] = attach_image(
            record["data"].get("attributes", []), code, scope, image["filename"], is_list=attribute.type == "IMAGE_LIST"
        )
        try:
            batch = self._products.submit_records(call, [write_json(record)], UPSERT, image=image["filename"])
        except BaseException:
            self._images.delete_images(call, {image["filename"]})
            raise
        return image, batch

    async def _wait(self, call: MethodCall, image: dict[str, str], batch: str, stack: ExitStack) -> Response:
        try:
            outcome = await self._products.wait_for_outcome(call.merchant, batch)
        finally:
            await self._context.run_in_thread(stack.close)
        if not outcome.ended:
            return json_response({**image, "batchId": batch}, status=202)
        return json_response(image) if outcome.refusal is None else json_response(outcome.refusal, status=400)


def _image_attribute(configuration: PimConfiguration, code: str, family: str) -> ProductAttribute:
    attribute = configuration.attribute.get(code)
    definition = configuration.family.get(family)
    in_family = definition is not None and code in {entry.attribute for entry in definition.attributes}
    if attribute is None or attribute.type not in IMAGES or not in_family:
        raise bad_request("Invalid attribute!")
    return attribute
