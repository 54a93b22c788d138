"""The client for programs with asyncio, and the original of `_sync`, which is generated from it."""
