"""`goodsgate` whose idempotency keys are free again soon after a crash: `python -m tests.crash.served serve`."""

from goodsgate.cli import main
from goodsgate.engine import idempotency, receive

RESERVE_SECONDS = 1.0

if __name__ == "__main__":
    idempotency.RESERVE_SECONDS = receive.RESERVE_SECONDS = RESERVE_SECONDS
    main()
