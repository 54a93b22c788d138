"""Images in another size or format, made by a process of their own.

`image_process` decodes what strangers have sent, with limits on memory and time; see `formats.isolated`.
"""

import msgspec

from goodsgate.formats.isolated import ParserError, ParserKilledError, ParserProcess
from goodsgate.model.extras import needed_extra

OUTPUT_BYTES_MAX = 64 * 1024**2


class ImageChange(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an image is to become; what is not named stays."""

    width: int | None = None
    height: int | None = None
    fit: str = "cover"
    """How both sizes are reached: ``cover`` crops, ``contain`` adds a border, ``fill`` distorts; ``inside`` and
    ``outside`` keep the proportions, within or around both sizes."""
    format: str
    """``jpeg``, ``png``, ``webp``, ``tiff``, ``gif`` or ``avif``."""
    quality: int | None = None
    compression_level: int | None = None
    background: tuple[int, ...] = (0, 0, 0, 0)
    """Red, green, blue and opacity of a border, and of what is transparent in a format that has no transparency."""


class ImageUnreadableError(Exception):
    """The image cannot be decoded within the limits, or what it is to become is too large."""


def change_image(content: bytes, change: ImageChange, *, memory_bytes_max: int, seconds_max: float) -> bytes:
    """Return an image in another size or format. Raises ImageUnreadableError, ExtraMissingError."""
    with needed_extra("images", "An image in another size or format"):
        import PIL  # noqa: F401 - what the process imports
    process = ParserProcess(
        "image_process", packages=["PIL"], memory_bytes_max=memory_bytes_max, seconds_max=seconds_max,
        frame_bytes_max=OUTPUT_BYTES_MAX, arguments=[msgspec.json.encode(change).decode()],
    )
    try:
        process.send(content)
        pieces = [piece for piece in process.frames() if piece is not None]
    except (ParserError, ParserKilledError) as fault:
        raise ImageUnreadableError(str(fault)) from fault
    finally:
        process.close()
    if len(pieces) != 1:
        raise ImageUnreadableError("the image cannot be decoded")
    return pieces[0]
