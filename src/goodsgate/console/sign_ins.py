"""Sign-ins to the console and refusals of them, in the audit log."""

import time

from starlette.requests import Request

from goodsgate.auth import Caller
from goodsgate.http.acts import new_act
from goodsgate.http.context import ServerContext
from goodsgate.model.audit import acting

REFUSALS_MAX, REFUSALS_SECONDS = 10, 60.0
"""Refusals that one process records in so much time: whoever guesses keys must not fill the store."""


class SignIns:
    """Starts sessions and records refusals."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._since = 0.0
        self._refusals = 0
        self._not_recorded = 0

    async def accept(self, http: Request, caller: Caller) -> str:
        """Start a session and return its token, which is recorded with it. Raises StoreError."""
        seconds = self._context.limits.session_seconds
        with acting(new_act(http, "sign_in.accept", caller.actor, subject=caller.key_id)):
            return await self._context.run_in_thread(
                self._context.authenticator.create_token, caller, seconds=seconds
            )

    async def refuse(self, http: Request, actor: str, *, reason: str) -> None:
        """Record a refusal, unless there were too many just now. Raises StoreError."""
        now = time.monotonic()
        if now - self._since > REFUSALS_SECONDS:
            self._since, self._refusals = now, 0
        self._refusals += 1
        if self._refusals > REFUSALS_MAX:
            self._not_recorded += 1
            return
        act = new_act(http, "sign_in.refuse", actor)
        act.detail = {"reason": reason}
        if self._not_recorded:
            act.detail["not_recorded"], self._not_recorded = str(self._not_recorded), 0
        with acting(act):
            await self._context.run_in_thread(self._context.store.record_act, None)
