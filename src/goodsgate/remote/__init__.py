"""Files of others: in folders, over HTTPS, over SFTP and in S3, to be read and written as streams.

`addresses.py` parses where they are, `contract.py` says what can be done with them, `opening.py` opens a place by its
address. The other modules have one kind of place each. Nothing here knows what is in the files, or a store of the gate.
"""

from goodsgate.remote.addresses import AddressError, RemoteAddress, parse_address
from goodsgate.remote.contract import (
    Access,
    FileChangedError,
    HostKeyError,
    RemoteError,
    RemoteFile,
    RemotePlace,
    RemoteSettings,
)
from goodsgate.remote.opening import check_address, open_place

__all__ = [
    "Access", "AddressError", "FileChangedError", "HostKeyError", "RemoteAddress", "RemoteError", "RemoteFile",
    "RemotePlace", "RemoteSettings", "check_address", "open_place", "parse_address",
]
