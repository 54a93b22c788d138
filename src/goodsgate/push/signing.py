"""Signatures of requests by AWS Signature Version 4."""

from typing import TYPE_CHECKING

from goodsgate.model.extras import needed_extra

if TYPE_CHECKING:
    import httpx


def check_signing() -> None:
    """Raise ExtraMissingError if requests cannot be signed."""
    with needed_extra("aws", "The signature of a request"):
        from botocore.auth import SigV4Auth  # type: ignore[import-untyped]  # noqa: F401 - botocore has no types


def sign_request(request: "httpx.Request", *, access_key: str, secret_key: str, session_token: str | None,
                 service: str, region: str) -> None:
    """Add the headers of a signature, which is of its time. Raises ExtraMissingError without the extra `aws`."""
    with needed_extra("aws", "The signature of a request"):
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]  # as above
        from botocore.credentials import Credentials  # type: ignore[import-untyped]  # as above

    signing = AWSRequest(
        request.method, str(request.url), data=request.content, headers={"Content-Type": "application/json"}
    )
    SigV4Auth(Credentials(access_key, secret_key, session_token or None), service, region).add_auth(signing)
    request.headers.update(dict(signing.headers))
