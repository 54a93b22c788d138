"""``python -m goodsgate``."""

from goodsgate.cli import main

if __name__ == "__main__":
    main()
