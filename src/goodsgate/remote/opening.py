"""Opens a place by its address. Libraries that only one kind needs are loaded with it."""

from pathlib import Path

from goodsgate.model.extras import needed_extra
from goodsgate.remote.addresses import RemoteAddress
from goodsgate.remote.contract import Access, RemoteError, RemotePlace, RemoteSettings
from goodsgate.remote.folder import LocalFolder, check_folder
from goodsgate.remote.guard import check_host


def open_place(address: RemoteAddress, access: Access, settings: RemoteSettings) -> RemotePlace:
    """Return the place of an address, to be used with `with`. Raises ExtraMissingError."""
    match address.scheme:
        case "file":
            return LocalFolder(address, settings)
        case "https" | "http":
            from goodsgate.remote.https import HttpsServer

            return HttpsServer(address, access, settings)
        case "sftp":
            with needed_extra("feeds", "SFTP"):
                from goodsgate.remote.sftp import SftpServer
            return SftpServer(address, access, settings)
    with needed_extra("s3", "S3"):
        from goodsgate.remote.s3 import S3Bucket
    return S3Bucket(address, access, settings)


def check_address(address: RemoteAddress, access: Access, settings: RemoteSettings) -> None:
    """Raise RemoteError, or ExtraMissingError, if the operator does not allow an address; nothing is called."""
    match address.scheme:
        case "file":
            check_folder(Path(address.folder), settings.folders)
        case "http" if not settings.allow_http:
            raise RemoteError("HTTP without TLS is not allowed (setting feed_http).", final=True)
        case "s3":
            with needed_extra("s3", "S3"):
                from goodsgate.remote.s3 import REGION, check_endpoint
            endpoint = access.endpoint or f"https://s3.{access.region or REGION}.amazonaws.com"
            check_endpoint(endpoint, settings)
            check_host(endpoint.partition("://")[2].partition("/")[0].partition(":")[0], settings)
        case _:
            check_host(address.host, settings)
