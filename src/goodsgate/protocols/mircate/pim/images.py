"""Images of products and categories: looked at, kept as objects, handed out.

An image is what its first bytes say it is, whatever it is called. Its name begins with the project that it was sent
for, and whoever knows the name may read it, as at the ancestor: it holds 128 random bits.
"""

import base64
import binascii
import re
import secrets
from collections.abc import Iterable
from functools import cached_property
from typing import Any

import msgspec
from starlette.responses import Response

from goodsgate.config import Config
from goodsgate.engine.refusal import Refusal
from goodsgate.http.context import ServerContext
from goodsgate.protocols.mircate.answers import answer, bad, headers, missing
from goodsgate.protocols.mircate.pim.keeping import Keeping
from goodsgate.protocols.mircate.pim.settled import PATH, Category, Settled
from goodsgate.protocols.mircate.transport import Asked, Method, is_own
from goodsgate.store.contract import StoreError
from goodsgate.store.objects import Objects, open_objects

MEGABYTE = 1024**2
IMAGE_MB_MAX = 5
CATEGORY_MB_MAX = 3
IMAGE_BODY_BYTES_MAX = 7 * MEGABYTE
"""Of a request: five megabytes in base64, and what is around them."""
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
"""Of Get Image, and what each must be; those that would change the image are looked at and passed over."""
INVALID_PARAMETERS = "Invalid api parameters! (Model validation failed)"


class Images:
    """The objects, and the operations that need no more."""

    def __init__(self, context: ServerContext, keeping: Keeping) -> None:
        self._context = context
        self._keeping = keeping

    def methods(self) -> dict[str, Method]:
        """By operation id."""
        return {
            "attach_category_image": Method(work=self.attach_category, bytes_max=IMAGE_BODY_BYTES_MAX),
            "get_image": Method(work=self.get, tenant=False),
        }

    @cached_property
    def _objects(self) -> Objects:
        try:
            return open_images(self._context.config)
        except StoreError as fault:
            raise Refusal("store_busy", f"No image can be kept: {fault}.") from fault

    # -- in -----------------------------------------------------------------------------------------------------------

    def keep(self, project: str, image: object, extension: str, *, allowed: Iterable[str], most_mb: float,
             unit: str = "") -> dict[str, str]:
        """Keep an image that is one; how it is called. Raises what becomes 400."""
        if extension not in allowed:
            raise bad(f"Not allowed extension! Allowed extensions: ({', '.join(allowed)})")
        content = _decoded(image)
        if round(len(content) / MEGABYTE, 2) > most_mb:
            raise bad(f"Max image size should be {most_mb:g}{unit}")
        if kind_of(content) != MEDIA_TYPES[extension]:
            raise bad("Invalid image data!")
        id = secrets.token_hex(16)
        filename = f"{project}-{id}.{extension}"
        if NAME.fullmatch(filename) is None:
            raise bad("The project cannot have images: its name holds more than letters, digits, - and _.")
        self._objects.put(path_of(filename), content, media_type=MEDIA_TYPES[extension])
        return {"imageId": id, "extension": extension, "filename": filename}

    def attach_category(self, asked: Asked) -> Response:
        """Attach Category Image."""
        image, extension, code = (asked.arguments.get(name) for name in ("image", "extension", "categoryCode"))
        if not image or not extension or not code:
            raise bad("Invalid body!")
        if _named(self._keeping.read(asked.merchant), code) is None:
            raise missing("Category not found!")
        kept = self.keep(asked.instance, image, extension, allowed=EXTENSIONS, most_mb=CATEGORY_MB_MAX, unit=" MB")
        before: set[str] = set()

        def change(settled: Settled) -> Settled:
            path = _named(settled, code)
            if path is None:
                raise missing("Category not found!")
            before.clear()
            trees = [_with_image(tree, path.split(PATH), kept["filename"], before) for tree in settled.categories]
            return msgspec.structs.replace(settled, categories=trees)

        try:
            self._keeping.change(asked.merchant, change)
        except BaseException:
            self.drop(asked, {kept["filename"]})
            raise
        self.drop(asked, before)
        return answer(kept)

    # -- out ----------------------------------------------------------------------------------------------------------

    def get(self, asked: Asked) -> Response:
        """Get Image: as it was sent, whatever size is asked for."""
        given = {name: value for name, value in asked.arguments.items() if name in PARAMETERS}
        wrong = [name for name, value in given.items() if not re.fullmatch(PARAMETERS[name], str(value))]
        if wrong or "filename" not in given:
            raise bad(INVALID_PARAMETERS)
        named = NAME.fullmatch(str(given["filename"]))
        if named is None:
            raise missing()
        if named[1] != asked.instance:
            raise bad("Permission denied!")
        found = self._objects.get(path_of(named[0]))
        if found is None:
            raise missing()
        more = {"cache-control": "max-age=86400", "content-disposition": "inline"}
        return Response(b"".join(found), media_type=MEDIA_TYPES[named[3]], headers={**headers(), **more})

    def drop(self, asked: Asked, filenames: Iterable[str]) -> None:
        """Keep these no more, as far as they are the caller's."""
        for filename in filenames:
            named = NAME.fullmatch(filename)
            if named is not None and is_own(named[1], asked.merchant, asked.request.caller):
                self._objects.delete(path_of(filename))


def open_images(config: Config) -> Objects:
    """Where images are kept; raises StoreError."""
    return open_objects(config.images, store=config.store, name="images", setting="images")


def kind_of(content: bytes) -> str | None:
    """The media type that the first bytes tell."""
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return "image/tiff" if content[:4] in (b"II*\0", b"MM\0*") else None


def _decoded(image: object) -> bytes:
    """Base64, also of a data URL; addresses are not fetched."""
    text = image if isinstance(image, str) else ""
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return base64.b64decode(re.sub(r"\s+", "", text), validate=True)
    except (binascii.Error, ValueError) as fault:
        raise bad("Invalid image data!") from fault


def path_of(filename: str) -> str:
    """Of the object."""
    project, _, rest = filename.rpartition("-")
    return f"{project}/{rest}"


def _named(settled: Settled, name: str) -> str | None:
    """The path of the category that a path, or a code that only one has, names."""
    paths = [*settled.category_paths]
    if name in paths:
        return name
    having = [path for path in paths if path.rpartition(PATH)[2] == name]
    return having[0] if len(having) == 1 else None


def _with_image(category: Category, path: list[str], filename: str, before: set[str]) -> Category:
    """The tree with the image at a path; notes the one that was there."""
    if category.code != path[0]:
        return category
    if len(path) == 1:
        if isinstance(category.image, str):
            before.add(category.image)
        return msgspec.structs.replace(category, image=filename)
    below = [_with_image(one, path[1:], filename, before) for one in category.sub_categories]
    return msgspec.structs.replace(category, sub_categories=below)


def attached(entries: list[dict[str, Any]], code: str, place: dict[str, str], filename: str, *, many: bool,
             ) -> list[dict[str, Any]]:
    """A product's attributes with an image in its place, or behind those of its list."""
    entry = next((entry for entry in entries if entry["code"] == code), {"code": code, "data": []})
    data = [datum for datum in entry.get("data") or () if isinstance(datum, dict)]
    held = next((datum for datum in data if _place(datum) == place), None)
    listed = held.get("value") if many and held is not None else None
    value: object = [*(listed if isinstance(listed, list) else ()), filename] if many else filename
    data = [datum for datum in data if datum is not held] + [{**place, "value": value}]
    return [*(one for one in entries if one["code"] != code), {"code": code, "data": data}]


def _place(datum: dict[str, Any]) -> dict[str, Any]:
    return {name: datum[name] for name in ("scope", "locale") if datum.get(name)}
