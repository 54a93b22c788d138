"""Tools for assistants: what `goodsgate mcp` serves."""
