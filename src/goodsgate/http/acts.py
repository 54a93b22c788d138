"""Requests whose effect belongs into the audit log."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from goodsgate.auth import Caller
from goodsgate.http.context import ServerContext
from goodsgate.model.audit import ACTIONS_OF_INSTALLATION, Act, acting
from goodsgate.observe import REQUEST_ID


def new_act(http: Request, action: str, actor: str, *, subject: str = "") -> Act:
    """Return what a request does, for the audit log."""
    return Act(
        action=action, actor=actor, subject=subject, address=http.client.host if http.client is not None else "",
        request=http.scope[REQUEST_ID], of_installation=action in ACTIONS_OF_INSTALLATION,
    )


async def act(context: ServerContext, http: Request, action: str, caller: Caller,
              handle: Callable[[], Awaitable[Response]], *, merchant: str, subject: str = "") -> Response:
    """Return the response of a handler, and see that its effect is in the audit log.

    Most transactions record the act with what they change. What changes nothing in the store, or is not known to it
    as an act, is recorded afterwards.
    """
    with acting(new_act(http, action, caller.actor, subject=subject)) as done:
        response = await handle()
        if not done.recorded and response.status_code < 400:
            await context.run_in_thread(context.store.record_act, merchant)
    return response
