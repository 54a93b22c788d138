"""The part of AWS STS that clients of the Catalog API use: AssumeRole, with which Amazon's sample obtains its keys.

There are no roles behind it: an access key may assume any role of the merchant's own account, and the temporary key has
its scopes. Source: AWS, "AssumeRole" and "Common errors" of the AWS Security Token Service.
"""

import re
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from starlette.responses import Response

from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import REQUEST_ID, ApiRequest, Handler
from goodsgate.http.problems import refuse
from goodsgate.model.batch import now
from goodsgate.protocols.justwalkout.access import RequestAuthenticator
from goodsgate.protocols.justwalkout.responses import STS_NAMESPACE, XML
from goodsgate.protocols.justwalkout.temporary_keys import TemporaryKey, new_temporary_key

SERVICE = "sts"
SECONDS_MIN, SECONDS_DEFAULT, SECONDS_MAX = 900, 3_600, 43_200
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::([0-9]{12}):role/([A-Za-z0-9_+=,.@/-]{1,512})")
_SESSION = re.compile(r"[A-Za-z0-9_+=,.@-]{2,64}")
_SECONDS = re.compile(r"[0-9]{1,6}")


class AssumeRoleHandlers:
    """The handler of AssumeRole."""

    def __init__(self, context: ServerContext, authenticator: RequestAuthenticator) -> None:
        self._context = context
        self._authenticator = authenticator

    def handlers(self) -> dict[str, Handler]:
        """Return the handler by operation id."""
        return {"assume_role": self.assume_role}

    async def assume_role(self, request: ApiRequest) -> Response:
        """Answer POST /v1/catalog/sts."""
        account, signature, body = await self._authenticator.verify(request, service=SERVICE)
        parameters = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
        role_arn, session, seconds = _parse_parameters(parameters)
        role = _ROLE.fullmatch(role_arn)
        if role is None or role[1] != account.number:
            user = f"arn:aws:iam::{account.number or '000000000000'}:user/{signature.access_key}"
            detail = f"User: {user} is not authorized to perform: sts:AssumeRole on resource: {role_arn}"
            raise refuse("forbidden", detail)
        self._authenticator.check_rate(account)
        key = await self._context.run_in_thread(
            new_temporary_key, account.key.id, self._context.services.secrets, seconds=seconds, now=now()
        )
        assumed_role = f"arn:aws:sts::{account.number}:assumed-role/{role[2].rpartition('/')[2]}/{session}"
        content = _document(key, assumed_role, session, request.http.scope[REQUEST_ID])
        return Response(content, media_type=XML, headers={"cache-control": "no-store"})


def _parse_parameters(parameters: dict[str, str]) -> tuple[str, str, int]:
    """Return role, session name and duration in seconds. Raises body_invalid with the code of STS as its kind."""
    action = parameters.get("Action", "")
    if action != "AssumeRole":
        detail = f"Could not find operation {action}; this gate has AssumeRole."
        raise refuse("body_invalid", detail, kind="InvalidAction")
    role_arn, session = parameters.get("RoleArn", ""), parameters.get("RoleSessionName", "")
    seconds = parameters.get("DurationSeconds", str(SECONDS_DEFAULT))
    if not 20 <= len(role_arn) <= 2048 or not role_arn.startswith("arn:"):
        raise _invalid("roleArn", "the ARN of a role, such as arn:aws:iam::123456789012:role/CatalogAPI")
    if not _SESSION.fullmatch(session):
        raise _invalid("roleSessionName", "2 to 64 letters, digits and characters of _+=,.@-")
    if not _SECONDS.fullmatch(seconds) or not SECONDS_MIN <= int(seconds) <= SECONDS_MAX:
        raise _invalid("durationSeconds", f"a number from {SECONDS_MIN} to {SECONDS_MAX}")
    return role_arn, session, int(seconds)


def _invalid(name: str, expected: str) -> Exception:
    detail = f"1 validation error detected: Value at '{name}' failed to satisfy constraint: Member must be {expected}"
    return refuse("body_invalid", detail, kind="ValidationError")


def _document(temporary: TemporaryKey, assumed_role: str, session: str, request_id: str) -> str:
    key = temporary.key
    credentials = {
        "AccessKeyId": key.id, "SecretAccessKey": key.secret, "SessionToken": key.token or "",
        "Expiration": f"{temporary.expires_at:%Y-%m-%dT%H:%M:%SZ}",
    }
    user = {"AssumedRoleId": f"{temporary.owner}:{session}", "Arn": assumed_role}
    return (
        f'<AssumeRoleResponse xmlns="{STS_NAMESPACE}"><AssumeRoleResult><AssumedRoleUser>{_elements(user)}'
        f"</AssumedRoleUser><Credentials>{_elements(credentials)}</Credentials></AssumeRoleResult>"
        f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></AssumeRoleResponse>"
    )


def _elements(texts: dict[str, str]) -> str:
    return "".join(f"<{name}>{escape(text)}</{name}>" for name, text in texts.items())
