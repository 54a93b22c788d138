"""Images of products and categories: checked, stored as objects, returned.

The first bytes of an image decide its type, whatever its extension. Its name begins with the project that it was sent
for. As at the ancestor, anybody who knows the name can read the image; it contains 128 random bits.
"""

import asyncio
import base64
import binascii
import re
import secrets
from collections.abc import Awaitable, Iterable
from functools import cached_property
from typing import Any

import msgspec
from starlette.responses import Response

from goodsgate.engine.refusal import Refusal
from goodsgate.formats.images import ImageChange, ImageUnreadableError, change_image
from goodsgate.http.context import ServerContext
from goodsgate.model.extras import needed_extra
from goodsgate.protocols.mircate.dispatcher import CallMethod, MethodCall, is_own_project
from goodsgate.protocols.mircate.pim.configuration import PATH, PimConfiguration, ProductCategory
from goodsgate.protocols.mircate.pim.configuration_store import ConfigurationStore
from goodsgate.protocols.mircate.pim.unpublished import (
    IMAGE_CHANGES_MAX,
    IMAGE_CHANGES_WAITING_MAX,
    IMAGE_MEMORY_BYTES_MAX,
    IMAGE_SECONDS_MAX,
    IMAGE_SIDE_MAX,
)
from goodsgate.protocols.mircate.responses import (
    bad_request,
    instance_busy,
    json_response,
    not_found,
    response_headers,
)
from goodsgate.store.contract import StoreError
from goodsgate.store.objects import Objects

MEGABYTE = 1024**2
IMAGE_MB_MAX = 5
CATEGORY_MB_MAX = 3
IMAGE_BODY_BYTES_MAX = 7 * MEGABYTE
"""Size of a request: five megabytes in base64, and the other members."""
EXTENSIONS = ("jpeg", "jpg", "png", "tiff", "webp")
MEDIA_TYPES = {
    "jpeg": "image/jpeg", "jpg": "image/jpeg", "png": "image/png", "tiff": "image/tiff", "webp": "image/webp",
}
NAME = re.compile(r"([A-Za-z0-9_-]{1,64})-([0-9a-f]{32})\.(jpeg|jpg|png|tiff|webp)")
PARAMETERS: dict[str, str] = {
    "filename": r".{1,200}", "width": r"[0-9]{1,5}(\.[0-9]+)?", "height": r"[0-9]{1,5}(\.[0-9]+)?",
    "fit": "contain|cover|fill|inside|outside",
    "format": "jpeg|jpg|png|webp|tiff|tif|gif|avif|heif|raw|jp2|jxl|pdf|svg",
    "quality": "[1-9][0-9]?|100", "compressionLevel": "[0-9]", "background": r".{1,50}",
}
"""Parameters of Get Image with their patterns."""
FORMATS = {"jpg": "jpeg", "tif": "tiff"} | {name: name for name in ("jpeg", "png", "webp", "tiff", "gif", "avif")}
"""Value of ``format`` → the format; others are not made, and the image is returned as it was sent."""
INVALID_PARAMETERS = "Invalid api parameters! (Model validation failed)"


class ImageMethods:
    """The image storage, with the methods Attach Category Image and Get Image."""

    def __init__(self, context: ServerContext, configurations: ConfigurationStore) -> None:
        self._context = context
        self._configurations = configurations
        self._changes = asyncio.Semaphore(IMAGE_CHANGES_MAX)
        self._changes_open = 0
        """Requests whose image is being changed, or waits for that."""

    def methods(self) -> dict[str, CallMethod]:
        """Return the methods by operation id."""
        return {
            "attach_category_image": CallMethod(work=self.attach_category, bytes_max=IMAGE_BODY_BYTES_MAX),
            "get_image": CallMethod(work=self.get, tenant=False),
        }

    @cached_property
    def _objects(self) -> Objects:
        try:
            return self._context.services.open_images()
        except StoreError as fault:
            raise Refusal("store_busy", f"No image can be kept: {fault}.") from fault

    # -- store --------------------------------------------------------------------------------------------------------

    def store_image(self, project: str, image: object, extension: str, *, allowed: Iterable[str], most_mb: float,
                    unit: str = "") -> dict[str, str]:
        """Check and store an image, and return its names. Raises what becomes 400."""
        if extension not in allowed:
            raise bad_request(f"Not allowed extension! Allowed extensions: ({', '.join(allowed)})")
        content = _decode(image)
        if round(len(content) / MEGABYTE, 2) > most_mb:
            raise bad_request(f"Max image size should be {most_mb:g}{unit}")
        if image_media_type(content) != MEDIA_TYPES[extension]:
            raise bad_request("Invalid image data!")
        id = secrets.token_hex(16)
        filename = f"{project}-{id}.{extension}"
        if NAME.fullmatch(filename) is None:
            raise bad_request("The project cannot have images: its name holds more than letters, digits, - and _.")
        self._objects.put(image_path(filename), content, media_type=MEDIA_TYPES[extension])
        return {"imageId": id, "extension": extension, "filename": filename}

    def attach_category(self, call: MethodCall) -> Response:
        """Attach an image to a category."""
        image, extension, code = (call.arguments.get(name) for name in ("image", "extension", "categoryCode"))
        if not image or not extension or not code:
            raise bad_request("Invalid body!")
        if _find_category(self._configurations.read(call.merchant), code) is None:
            raise not_found("Category not found!")
        stored = self.store_image(
            call.instance, image, extension, allowed=EXTENSIONS, most_mb=CATEGORY_MB_MAX, unit=" MB"
        )
        replaced: set[str] = set()

        def change(configuration: PimConfiguration) -> PimConfiguration:
            path = _find_category(configuration, code)
            if path is None:
                raise not_found("Category not found!")
            replaced.clear()
            codes, filename = path.split(PATH), stored["filename"]
            trees = [_replace_image(tree, codes, filename, replaced) for tree in configuration.categories]
            return msgspec.structs.replace(configuration, categories=trees)

        try:
            self._configurations.change(call.merchant, change)
        except BaseException:
            self.delete_images(call, {stored["filename"]})
            raise
        self.delete_images(call, replaced)
        return json_response(stored)

    # -- read and delete ----------------------------------------------------------------------------------------------

    def get(self, call: MethodCall) -> Response | Awaitable[Response]:
        """Return an image, in the requested size and format if it can be decoded."""
        parameters = {name: value for name, value in call.arguments.items() if name in PARAMETERS}
        is_valid = all(re.fullmatch(PARAMETERS[name], str(value)) for name, value in parameters.items())
        if not is_valid or "filename" not in parameters:
            raise bad_request(INVALID_PARAMETERS)
        name = NAME.fullmatch(str(parameters["filename"]))
        if name is None:
            raise not_found()
        if name[1] != call.instance:
            raise bad_request("Permission denied!")
        content = self._objects.get(image_path(name[0]))
        if content is None:
            raise not_found()
        change = _image_change(parameters, MEDIA_TYPES[name[3]].removeprefix("image/"))
        if change is None:
            return _image_response(b"".join(content), MEDIA_TYPES[name[3]])
        return self._changed(b"".join(content), change, MEDIA_TYPES[name[3]])

    async def _changed(self, content: bytes, change: ImageChange, media_type: str) -> Response:
        """Return the changed image, or the image as it was sent if it cannot be decoded."""
        if self._changes_open >= IMAGE_CHANGES_WAITING_MAX:
            raise instance_busy()
        self._changes_open += 1
        try:
            async with self._changes:
                changed = await self._context.run_in_thread(
                    change_image, content, change, memory_bytes_max=IMAGE_MEMORY_BYTES_MAX,
                    seconds_max=IMAGE_SECONDS_MAX,
                )
        except ImageUnreadableError:
            return _image_response(content, media_type)
        finally:
            self._changes_open -= 1
        return _image_response(changed, f"image/{change.format}")

    def delete_images(self, call: MethodCall, filenames: Iterable[str]) -> None:
        """Delete those images that belong to the caller."""
        for filename in filenames:
            name = NAME.fullmatch(filename)
            if name is not None and is_own_project(name[1], call.merchant, call.request.caller):
                self._objects.delete(image_path(filename))


def _image_change(parameters: dict[str, Any], own_format: str) -> ImageChange | None:
    """Return what the parameters want of an image; None if that is the image as it was sent."""
    wanted = parameters.keys() - {"filename"}
    format = FORMATS.get(str(parameters.get("format", own_format)))
    if not wanted or format is None:
        return None
    sizes = {name: round(float(parameters[name])) for name in ("width", "height") if name in parameters}
    if any(not 1 <= size <= IMAGE_SIDE_MAX for size in sizes.values()):
        raise bad_request(INVALID_PARAMETERS)
    with needed_extra("images", "An image in another size or format"):
        from PIL.ImageColor import getcolor
    try:
        background = getcolor(str(parameters.get("background", "#00000000")), "RGBA")
    except ValueError as fault:
        raise bad_request(INVALID_PARAMETERS) from fault
    numbers = {
        member: int(parameters[name]) for name, member in
        (("quality", "quality"), ("compressionLevel", "compression_level")) if name in parameters
    }
    return ImageChange(
        **sizes, **numbers, fit=str(parameters.get("fit", "cover")), format=format,
        background=background if isinstance(background, tuple) else (background,),
    )


def _image_response(content: bytes, media_type: str) -> Response:
    headers = {**response_headers(), "cache-control": "max-age=86400", "content-disposition": "inline"}
    return Response(content, media_type=media_type, headers=headers)


def image_media_type(content: bytes) -> str | None:
    """Return the media type that the first bytes determine."""
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return "image/tiff" if content[:4] in (b"II*\0", b"MM\0*") else None


def _decode(image: object) -> bytes:
    """Decode base64, also in a data URL; web addresses are not fetched."""
    text = image if isinstance(image, str) else ""
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return base64.b64decode(re.sub(r"\s+", "", text), validate=True)
    except (binascii.Error, ValueError) as fault:
        raise bad_request("Invalid image data!") from fault


def image_path(filename: str) -> str:
    """Return the path of an image in the storage."""
    project, _, rest = filename.rpartition("-")
    return f"{project}/{rest}"


def _find_category(configuration: PimConfiguration, name: str) -> str | None:
    """Return the path of the category with this path, or with this code if it is unique."""
    paths = [*configuration.category_paths]
    if name in paths:
        return name
    matches = [path for path in paths if path.rpartition(PATH)[2] == name]
    return matches[0] if len(matches) == 1 else None


def _replace_image(category: ProductCategory, path: list[str], filename: str, replaced: set[str]) -> ProductCategory:
    """Return the tree with the image at a path, and add the image that it replaces to `replaced`."""
    if category.code != path[0]:
        return category
    if len(path) == 1:
        if isinstance(category.image, str):
            replaced.add(category.image)
        return msgspec.structs.replace(category, image=filename)
    below = [_replace_image(child, path[1:], filename, replaced) for child in category.sub_categories]
    return msgspec.structs.replace(category, sub_categories=below)


def attach_image(entries: list[dict[str, Any]], code: str, scope: dict[str, str], filename: str, *, is_list: bool,
                 ) -> list[dict[str, Any]]:
    """Return a product's attributes with an image as the value, or appended to the list of images."""
    entry = next((entry for entry in entries if entry["code"] == code), {"code": code, "data": []})
    data = [datum for datum in entry.get("data") or () if isinstance(datum, dict)]
    current = next((datum for datum in data if _scope_and_locale(datum) == scope), None)
    images = current.get("value") if is_list and current is not None else None
    value: object = [*(images if isinstance(images, list) else ()), filename] if is_list else filename
    data = [datum for datum in data if datum is not current] + [{**scope, "value": value}]
    return [*(entry for entry in entries if entry["code"] != code), {"code": code, "data": data}]


def _scope_and_locale(datum: dict[str, Any]) -> dict[str, Any]:
    return {name: datum[name] for name in ("scope", "locale") if datum.get(name)}
