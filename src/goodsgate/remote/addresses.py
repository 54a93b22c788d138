"""Addresses of files and folders: ``sftp://user@host/path``, ``https://host/path``, ``s3://bucket/path``, ``file:///path``.

The last part of a path is a file, or a pattern such as ``*.csv.gz`` for files of the folder; without it the address is
that of a folder. An address never has a password.
"""

import fnmatch
import re
from urllib.parse import SplitResult, quote, unquote, urlsplit

import msgspec

SCHEMES = ("sftp", "https", "http", "s3", "file")
PORTS = {"sftp": 22, "https": 443, "http": 80}
ADDRESS_CHARACTERS_MAX = 2_000
HOME = "~"
"""First part of the path of an SFTP address that begins at the user's home folder."""
_PATTERN_SIGNS = re.compile(r"[*?\[]")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,62}")
_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+")


class AddressError(ValueError):
    """An address that cannot be used; the message says why, and is fit for its author."""


class RemoteAddress(msgspec.Struct, frozen=True, kw_only=True):
    """A parsed address."""

    text: str
    """As it was given."""
    scheme: str
    user: str = ""
    host: str = ""
    """Lower case; empty for files. The bucket for S3."""
    port: int = 0
    folder: str = ""
    """Decoded, with a slash at its end unless it is empty; absolute for files, and for SFTP outside of the home."""
    name: str = ""
    """A file or a pattern, decoded; empty: the folder."""
    query: str = ""
    """Of HTTP."""

    @property
    def is_folder(self) -> bool:
        """Whether the address stands for any number of files."""
        return not self.name or self.has_pattern

    @property
    def has_pattern(self) -> bool:
        """Whether the name is a pattern."""
        return self.scheme not in ("https", "http") and bool(_PATTERN_SIGNS.search(self.name))

    @property
    def display(self) -> str:
        """The address without the query, which may hold a secret."""
        return self.text.partition("?")[0] if self.query else self.text

    def accepts(self, name: str) -> bool:
        """Return whether a file of the folder is meant; hidden files and those of other folders are not."""
        if name.startswith(".") or "/" in name:
            return False
        return fnmatch.fnmatchcase(name, self.name) if self.has_pattern else self.name in ("", name)


def parse_address(text: str) -> RemoteAddress:
    """Return the parts of an address. Raises AddressError."""
    text = text.strip()
    if not text or len(text) > ADDRESS_CHARACTERS_MAX or not text.isprintable() or "\\" in text:
        raise AddressError("An address is one line such as sftp://user@host/folder/*.csv.")
    try:
        parts = urlsplit(text if text.startswith(("https:", "http:")) else quote(text, safe=":/@?[]*!~%&=+,;'()$-._"))
        port = parts.port
    except ValueError as fault:
        raise AddressError("The address is malformed.") from fault
    if parts.scheme not in SCHEMES or not text.lower().startswith(f"{parts.scheme}://"):
        raise AddressError("An address begins with sftp://, https://, s3:// or file://.")
    if parts.password is not None or (parts.username is not None and parts.scheme != "sftp"):
        raise AddressError("The address has a user or a password; give them as credentials.")
    if parts.fragment:
        raise AddressError("The address has a part behind #, which nothing reads.")
    if parts.scheme in ("https", "http"):
        return _http_address(text, parts, port)
    return _file_address(text, parts, port)


def _http_address(text: str, parts: SplitResult, port: int | None) -> RemoteAddress:
    if not text.isascii() or " " in text:
        raise AddressError("The address has signs that must be written as %XX.")
    host = _host(parts)
    folder, _, name = (parts.path or "/").rpartition("/")
    return RemoteAddress(
        text=text, scheme=parts.scheme, host=host, port=port or PORTS[parts.scheme], folder=f"{folder}/",
        name=name or "/", query=parts.query,
    )


def _file_address(text: str, parts: SplitResult, port: int | None) -> RemoteAddress:
    # A question mark is a sign of patterns here.
    raw = parts.path + (f"?{parts.query}" if "?" in text else "")
    path = unquote(raw)
    if "\0" in path or any(part in (".", "..") for part in path.split("/")):
        raise AddressError("The path of the address has a part that is . or ..")
    folder, _, name = path.rpartition("/")
    folder = f"{folder}/"
    if parts.scheme == "file":
        if parts.netloc not in ("", "localhost") or not path.startswith("/"):
            raise AddressError("The address of a file is like file:///folder/name.")
        return RemoteAddress(text=text, scheme="file", folder=folder, name=name)
    if parts.scheme == "s3":
        if not _BUCKET.fullmatch(parts.netloc):
            raise AddressError("The address of an object is like s3://bucket/folder/name.")
        return RemoteAddress(text=text, scheme="s3", host=parts.netloc, folder=folder.lstrip("/"), name=name)
    host = _host(parts)
    if folder == f"/{HOME}/" or folder.startswith(f"/{HOME}/"):
        folder = folder.removeprefix(f"/{HOME}/")
    return RemoteAddress(
        text=text, scheme="sftp", user=unquote(parts.username or ""), host=host, port=port or PORTS["sftp"],
        folder=folder, name=name,
    )


def _host(parts: SplitResult) -> str:
    host = (parts.hostname or "").rstrip(".").lower()
    if not host or not _HOST.fullmatch(host):
        raise AddressError("The address has no host, or one that is malformed.")
    return host
