"""Images: checked, stored, attached to products and categories, read, and deleted when nothing uses them."""

import base64
import time
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from goodsgate.protocols.mircate.pim.images import image_media_type
from tests.protocols.mircate.client import message
from tests.protocols.mircate.pim.client import JPEG, PNG, Manager
from tests.protocols.mircate.pim.shirts import product, variant

MEGABYTE = 1024**2


def _stored(manager: Manager, *names: str) -> bool:
    """Return whether these are the merchant's objects, after delivery of all messages."""
    folder = Path(manager.gate.shop.config.images) / manager.merchant
    until = time.monotonic() + 60
    while time.monotonic() < until:
        manager.deliver_messages()
        stored = {f"{manager.merchant}-{path.name}" for path in folder.iterdir()} if folder.exists() else set()
        if stored == set(names):
            return True
        time.sleep(0.02)
    return False


def _values(manager: Manager, id: str, attribute: str) -> list[dict[str, Any]]:
    entries = manager.source(id)["data"]["attributes"]
    return next(entry["data"] for entry in entries if entry["code"] == attribute)


def test_an_image_is_attached_and_read(manager: Manager) -> None:
    """Anybody who knows its name reads it as it was sent."""
    manager.put_all(product("s1", title="x"))
    response = manager.attach("s1")
    assert response.status_code == 200, response.text
    result = response.json()
    assert result["filename"] == f"{manager.merchant}-{result['imageId']}.png"
    (datum,) = _values(manager, "s1", "photo")
    assert datum["value"] == result["filename"]
    assert datum["meta"]["url"].endswith(f"/PIMAPI/getImage/{manager.merchant}?filename={result['filename']}")
    image = manager.get(datum["meta"]["url"], headers={"x-api-key": ""})
    assert (image.status_code, image.content) == (200, PNG)
    assert image.headers["content-type"] == "image/png"
    assert image.headers["cache-control"] == "max-age=86400"
    assert image.headers["x-content-type-options"] == "nosniff"
    assert image.headers["content-security-policy"].startswith("default-src 'none'")
    assert manager.source("s1")["data"]["attributes"][0]["data"] == [{"value": "x"}]


def test_an_image_replaces_the_one_before(manager: Manager) -> None:
    """The old one is deleted; a list keeps all."""
    manager.put_all(product("s1"))
    first = manager.attach("s1").json()["filename"]
    second = manager.attach("s1", JPEG, extension="jpg").json()["filename"]
    assert [datum["value"] for datum in _values(manager, "s1", "photo")] == [second]
    assert _stored(manager, second)
    assert manager.image(first).status_code == 404
    listed = [manager.attach("s1", attribute="photos").json()["filename"] for _ in range(2)]
    assert _values(manager, "s1", "photos")[0]["value"] == listed
    assert _stored(manager, second, *listed)


def test_images_are_deleted_with_their_product(manager: Manager) -> None:
    """So are those of an attribute that is changed, also in bulk."""
    manager.put_all(*(product(id) for id in ("s1", "s2", "s3")))
    filenames = [manager.attach(id).json()["filename"] for id in ("s1", "s2", "s3")]
    manager.put_all(product("s2", title="no image"))
    assert _stored(manager, filenames[0], filenames[2])
    refused = product("s1", photo="other.png", title="much too long")
    manager.pim("bulkProductUpsert", [product("s3", title="none"), refused])
    manager.idle()
    assert _stored(manager, filenames[0])
    assert manager.pim("deleteProduct", {"id": "s1"}).status_code == 204
    assert _stored(manager)


@pytest.mark.parametrize(("arguments", "status", "text"), [
    ({"image": ""}, 400, "Invalid body!"), ({"productId": None}, 400, "Invalid body!"),
    ({"productId": "none"}, 404, "Product not found!"),
    ({"attributeCode": "title"}, 400, "Invalid attribute!"), ({"attributeCode": "none"}, 400, "Invalid attribute!"),
    ({"extension": "webm"}, 400, "Not allowed extension! Allowed extensions: (png, jpg, webp)"),
    ({"attributeCode": "photos", "extension": "gif"}, 400,
     "Not allowed extension! Allowed extensions: (jpeg, jpg, png, tiff, webp)"),
    ({"image": "no base64!"}, 400, "Invalid image data!"),
    ({"image": "https://shop.example/x.png"}, 400, "Invalid image data!"),
    ({"image": base64.b64encode(JPEG).decode()}, 400, "Invalid image data!"),
    ({"image": base64.b64encode(b"<script>" + PNG).decode()}, 400, "Invalid image data!"),
    ({"image": base64.b64encode(PNG + b"x" * (MEGABYTE + 10_000)).decode()}, 400, "Max image size should be 1"),
    ({"scope": "web"}, 400, "Error: photo is not scopable!"),
])
def test_invalid_images_are_refused(manager: Manager, arguments: dict[str, Any], status: int, text: str) -> None:
    """Nothing is stored."""
    manager.put_all(product("s1"))
    good = {
        "image": base64.b64encode(PNG).decode(), "productId": "s1", "extension": "png", "attributeCode": "photo",
    }
    sent = {name: value for name, value in {**good, **arguments}.items() if value is not None}
    assert message(manager.pim("attachProductAttributeImage", sent), status) == text
    assert _stored(manager)


def test_a_data_url_is_an_image_too(manager: Manager) -> None:
    """Browsers create such URLs."""
    manager.put_all(product("s1"))
    arguments = {
        "image": f"data:image/png;base64,{base64.b64encode(PNG).decode()}", "productId": "s1", "extension": "png",
        "attributeCode": "photo",
    }
    filename = manager.pim("attachProductAttributeImage", arguments).json()["filename"]
    assert manager.image(filename).content == PNG


def test_a_variant_has_no_image_of_its_model(manager: Manager) -> None:
    """The product is refused, and the image is deleted."""
    model = {"dataType": "PRODUCT_MODEL", "data": {
        "code": "m1", "family": "shirts", "variant": "by_colour", "status": "DRAFT"}}
    manager.put_all(model, variant("v1", "m1"))
    text = "Error: You can not edit common attributes in a variant! (photo)"
    assert message(manager.attach("v1"), 400) == text
    assert _stored(manager)


def test_a_category_has_an_image(manager: Manager) -> None:
    """The category is named by path or code; the image before is deleted."""
    arguments = {"image": base64.b64encode(PNG).decode(), "extension": "png", "categoryCode": "outlet#sale"}
    first = manager.pim("attachCategoryImage", arguments).json()["filename"]
    outlet = manager.pim("getCatalogSettings").json()["catalogSettings"]["categories"][1]
    assert outlet["subCategories"][0]["image"] == first
    assert manager.get(outlet["subCategories"][0]["meta"]["url"]).content == PNG
    second = manager.pim("attachCategoryImage", arguments).json()["filename"]
    assert _stored(manager, second)
    for code, status, text in (("sale", 404, "Category not found!"), ("", 400, "Invalid body!")):
        assert message(manager.pim("attachCategoryImage", {**arguments, "categoryCode": code}), status) == text
    large = {**arguments, "image": base64.b64encode(PNG + b"x" * (3 * MEGABYTE + 10_000)).decode()}
    assert message(manager.pim("attachCategoryImage", large), 400) == "Max image size should be 3 MB"
    assert _stored(manager, second)


def test_images_belong_to_one_project(manager: Manager, beginner: Manager) -> None:
    """Parameters for their size are checked; what is no image for a decoder is returned as it was sent."""
    manager.put_all(product("s1"))
    filename = manager.attach("s1").json()["filename"]
    path = manager.path("PIMAPI/getImage")
    parameters = {"filename": filename, "width": "10", "fit": "cover", "format": "webp", "quality": "80"}
    assert manager.get(path, params=parameters).content == PNG
    for wrong in ({}, {"filename": filename, "width": "wide"}, {"filename": filename, "quality": "101"}):
        text = "Invalid api parameters! (Model validation failed)"
        assert message(manager.get(path, params=wrong), 400) == text
    for wrong in ("../../etc/passwd", filename.replace(".png", ".svg"), f"{manager.merchant}-{'0' * 32}.png"):
        assert manager.get(path, params={"filename": wrong}).status_code == 404
    assert message(beginner.get(beginner.path("PIMAPI/getImage"), params=parameters), 400) == "Permission denied!"


def test_an_image_is_returned_in_another_size_and_format(manager: Manager) -> None:
    """With limits; a format that the gate does not make is ignored."""
    manager.put_all(product("s1"))
    sent = BytesIO()
    Image.new("RGBA", (200, 100), (255, 0, 0, 128)).save(sent, "png")
    question = {"filename": manager.attach("s1", sent.getvalue()).json()["filename"]}
    path = manager.path("PIMAPI/getImage")
    small = manager.get(path, params={**question, "width": "50", "format": "webp", "quality": "80"})
    assert small.headers["content-type"] == "image/webp"
    assert Image.open(BytesIO(small.content)).size == (50, 25)
    assert small.headers["cache-control"] == "max-age=86400"
    for ignored in ({}, {"format": "heif", "width": "50"}):
        assert manager.get(path, params={**question, **ignored}).content == sent.getvalue()
    for wrong in ({"width": "0"}, {"height": "5001"}, {"background": "no colour"}):
        assert message(manager.get(path, params={**question, **wrong}), 400).startswith("Invalid api parameters!")


def test_another_merchants_image_cannot_be_deleted(manager: Manager, gate: Any) -> None:
    """Its name in a product of one's own has no effect."""
    manager.put_all(product("s1"))
    filename = manager.attach("s1").json()["filename"]
    with Manager(gate, gate.merchant()) as thief:
        thief.put_all(product("t1", photo=filename))
        assert thief.pim("deleteProduct", {"id": "t1"}).status_code == 204
        thief.deliver_messages()
    assert manager.image(filename).content == PNG


@pytest.mark.parametrize(("content", "kind"), [
    (PNG, "image/png"), (JPEG, "image/jpeg"), (b"RIFF0000WEBPVP8 ", "image/webp"), (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"), (b"GIF89a", None), (b"<svg/>", None), (b"", None), (b"RIFF0000WAVE", None),
])
def test_the_first_bytes_decide_the_type_of_an_image(content: bytes, kind: str | None) -> None:
    """The extension does not."""
    assert image_media_type(content) == kind
