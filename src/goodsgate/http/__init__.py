"""What all protocols and the console share above the engine.

A request passes through these modules in this order:

1. `application` gives it an id and its response the security headers, counts it and logs it.
2. `endpoints` checks key, path and query against the `openapi` document of the protocol, and calls a handler.
3. A handler of a protocol uses the `context`: the engine, the thread pool, the limits, and the request's body.
4. `problems` turns a refusal into a problem document, unless the protocol has a format of its own.

`long_poll` caches the documents of batches and waits for changes; `rate_limit` counts requests; `json_batches` submits
records that a handler has decoded. `services` is what `app.py` builds for the protocols; `known_settings` checks
settings of keys and merchants. `connections` bounds connections and headers in the server itself, `admission` bounds
uploads and waiting requests, `compression` sends text as gzip, and `docs` renders the documentation pages.
"""
