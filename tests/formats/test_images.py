"""Images in another size or format."""

from io import BytesIO

import pytest
from PIL import Image

from goodsgate.formats.images import ImageChange, ImageUnreadableError, change_image

MEMORY = 1024**3


def _image(format: str = "png", *, mode: str = "RGBA", size: tuple[int, int] = (200, 100)) -> bytes:
    output = BytesIO()
    Image.new(mode, size, "red").save(output, format)
    return output.getvalue()


def _changed(content: bytes, change: ImageChange, memory: int = MEMORY) -> "Image.Image":
    return Image.open(BytesIO(change_image(content, change, memory_bytes_max=memory, seconds_max=20)))


@pytest.mark.parametrize(("change", "size"), [
    (ImageChange(format="png", height=10), (20, 10)),
    (ImageChange(format="jpeg", width=50, height=50, fit="cover"), (50, 50)),
    (ImageChange(format="avif", width=50, height=50, fit="inside"), (50, 25)),
    (ImageChange(format="tiff", width=50, height=50, fit="outside"), (100, 50)),
    (ImageChange(format="gif", width=50, height=60, fit="fill"), (50, 60)),
])
def test_an_image_gets_its_size_and_format(change: ImageChange, size: tuple[int, int]) -> None:
    """One side alone keeps the proportions."""
    image = _changed(_image(), change)
    assert (image.size, (image.format or "").lower()) == (size, change.format)


def test_a_border_has_the_background() -> None:
    """Transparency stays where the format has it."""
    change = ImageChange(format="webp", width=50, height=50, fit="contain", background=(0, 0, 255, 255))
    image = _changed(_image("jpeg", mode="RGB"), change).convert("RGB")
    above, middle = image.getpixel((25, 2)), image.getpixel((25, 25))
    assert isinstance(above, tuple)
    assert isinstance(middle, tuple)
    assert above[2] > 200 > middle[2]


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n" + b"image" * 20, b"GIF89a", b"%!PS-Adobe-3.0 EPSF-3.0"])
def test_what_cannot_be_decoded_is_an_error(content: bytes) -> None:
    """Only formats that the gate stores are decoded."""
    with pytest.raises(ImageUnreadableError):
        _changed(content, ImageChange(format="png", width=5))


def test_a_few_bytes_do_not_take_the_memory_of_the_machine() -> None:
    """An image of 90 million pixels is a kilobyte when it is sent."""
    content = _image(mode="1", size=(30_000, 3_000))
    assert len(content) < 100_000
    with pytest.raises(ImageUnreadableError):
        _changed(content, ImageChange(format="png", width=5))
    with pytest.raises(ImageUnreadableError):
        _changed(_image(size=(7_000, 7_000), mode="1"), ImageChange(format="png"), memory=160 * 1024**2)
