"""The process: it reads an image from its input, and writes it in another size or format to its output.

The input is one message, the output one frame with the image, or none if it cannot be decoded, and the end; see
`formats.isolated`.
"""

import json
import os
import resource
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress
from io import BytesIO
from typing import Any

from PIL import AvifImagePlugin, GifImagePlugin, Image, ImageOps, JpegImagePlugin, PngImagePlugin, TiffImagePlugin
from PIL import WebPImagePlugin as WebPImagePlugin

PIXELS_MAX = 50_000_000
"""Pixels of an image, before and after."""
MEMORY_EXIT_CODE = 3
READ_FORMATS = ("jpeg", "png", "tiff", "webp")
OPAQUE_FORMATS = ("jpeg",)
_PLUGINS = (AvifImagePlugin, GifImagePlugin, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin)
"""Loaded before the limits, under which no file can be opened."""


def main(arguments: Sequence[str]) -> None:
    """Change the image in the standard input; never returns.

    Arguments are bytes of memory, seconds of processor time, and the change as JSON.
    """
    try:
        with suppress(OSError), open("/proc/self/oom_score_adj", "wb") as score:
            score.write(b"1000")
        Image.preinit()
        _limit_process(int(arguments[0]), float(arguments[1]))
        source = sys.stdin.buffer
        content = source.read(int.from_bytes(source.read(4), "little"))
        changed = _change(content, json.loads(arguments[2]))
        output = sys.stdout.buffer
        if changed:
            output.write(len(changed).to_bytes(4, "little") + changed)
        output.write(bytes(4))
        output.flush()
    except BrokenPipeError:
        os._exit(0)  # nobody reads on
    except MemoryError:
        os._exit(MEMORY_EXIT_CODE)
    os._exit(0)


def _limit_process(memory_bytes: int, seconds: float) -> None:
    """Limit this process, so that no bug of a decoder can do more harm than use this up."""
    limits = {
        resource.RLIMIT_AS: memory_bytes, resource.RLIMIT_CPU: max(1, round(seconds)), resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: 0, resource.RLIMIT_NOFILE: 3,
    }
    for kind, most in limits.items():
        _, given = resource.getrlimit(kind)
        value = most if given == resource.RLIM_INFINITY else min(most, given)
        resource.setrlimit(kind, (value, value))


def _change(content: bytes, change: dict[str, Any]) -> bytes:
    """Return the changed image; empty if it cannot be decoded."""
    Image.MAX_IMAGE_PIXELS = PIXELS_MAX
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    try:
        with Image.open(BytesIO(content), formats=READ_FORMATS) as opened:
            image = ImageOps.exif_transpose(opened)
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
        image = _resize(image, change)
        if change["format"] in OPAQUE_FORMATS and image.mode == "RGBA":
            image = _over(image.size, image, (*change.get("background", (0, 0, 0))[:3], 255)).convert("RGB")
        output = BytesIO()
        image.save(output, format=change["format"], **_save_options(change))
    except MemoryError:
        raise
    except Exception:  # decoders raise whatever they meet
        return b""
    return output.getvalue()


def _resize(image: Image.Image, change: dict[str, Any]) -> Image.Image:
    width, height = change.get("width"), change.get("height")
    if width is None and height is None:
        return image
    if width is None or height is None:
        share = (width or 0) / image.width or (height or 0) / image.height
        width, height = max(1, round(image.width * share)), max(1, round(image.height * share))
    fit = change.get("fit", "cover")
    shares = width / image.width, height / image.height
    share = {"inside": min, "contain": min, "outside": max}.get(fit, max)(shares)
    scaled = max(1, round(image.width * share)), max(1, round(image.height * share))
    if max(scaled[0] * scaled[1], width * height) > PIXELS_MAX:
        raise ValueError("too large")
    if fit == "cover":
        return ImageOps.fit(image, (width, height))
    if fit == "fill":
        return image.resize((width, height))
    resized = image.resize(scaled)
    background = tuple(change.get("background", (0, 0, 0, 0)))
    return _over((width, height), resized, background) if fit == "contain" else resized


def _over(size: tuple[int, int], image: Image.Image, background: tuple[int, ...]) -> Image.Image:
    """Return an image in the middle of a background."""
    canvas = Image.new("RGBA", size, background)
    place = (size[0] - image.width) // 2, (size[1] - image.height) // 2
    canvas.alpha_composite(image.convert("RGBA"), place)
    return canvas


def _save_options(change: dict[str, Any]) -> dict[str, Any]:
    options = {}
    if "quality" in change and change["format"] in ("jpeg", "webp", "avif"):
        options["quality"] = change["quality"]
    if "compression_level" in change and change["format"] == "png":
        options["compress_level"] = change["compression_level"]
    return options
