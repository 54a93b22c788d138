// Client of Goodsgate: submits feeds, waits for them, and reads what happened to each record.

import createClient, { type Client } from "openapi-fetch";
import type { components, operations, paths } from "./schema.js";
import { WaitTimeoutError, readRefusal, sendRepeatedly, sleep } from "./retrying.js";

export { RefusedError, WaitTimeoutError, type Problem } from "./retrying.js";
export type { components, operations, paths } from "./schema.js";

type Schemas = components["schemas"];
export type Batch = Schemas["Batch"];
export type Issue = Schemas["Issue"];
export type Item = Schemas["Item"];
export type Change = Schemas["Change"];
export type ItemFilter = Omit<NonNullable<operations["items"]["parameters"]["query"]>, "after">;
export type SubmitOptions = NonNullable<operations["submit"]["parameters"]["query"]>;

/** Content that can be sent again: a file (in Node, `await openAsBlob(path)`), text, or records. */
export type Content = Blob | string | Iterable<object>;

export interface ClientOptions {
  url: string;
  key?: string;
  /** Merchant to act for; needs an admin key. */
  actFor?: string;
  /** How long lost connections and temporary failures are retried. Default: 60. */
  retrySeconds?: number;
  fetch?: typeof fetch;
}

export interface WaitOptions {
  timeoutSeconds?: number;
  onProgress?: (batch: Batch) => void;
}

export interface ChangesOptions {
  /** Cursor of the last change that was read, or `now`. Default: the oldest change that is kept. */
  after?: string;
  kind?: Schemas["Kind"];
  collection?: string;
  /** What a change has besides its key, separated by commas: `before`, `after`, or `keys` for neither. */
  fields?: string;
  /** Wait for further changes, and go on. */
  follow?: boolean;
  waitSeconds?: number;
}

const ENDED = new Set(["finished", "cancelled", "broken"]);
/** An event stream that sends nothing for longer is broken or buffered by a proxy. */
const SILENCE_MS = 20_000;
const POLL_MIN_MS = 500;
const POLL_MAX_MS = 3000;

export class GoodsgateClient {
  /** Typed calls of all other routes, with the same retries: `client.api.GET("/v1/collections")`. */
  readonly api: Client<paths>;
  readonly #url: string;
  readonly #headers: Record<string, string>;
  readonly #retryMs: number;
  readonly #fetch: typeof fetch;

  constructor({ url, key, actFor, retrySeconds = 60, fetch: fetcher = fetch }: ClientOptions) {
    this.#url = url.replace(/\/+$/, "");
    this.#headers = {
      ...(key ? { authorization: `Bearer ${key}` } : {}),
      ...(actFor ? { "goodsgate-merchant": actFor } : {}),
    };
    this.#retryMs = retrySeconds * 1000;
    this.#fetch = (...sent) => fetcher(...sent);
    this.api = createClient<paths>({
      baseUrl: this.#url,
      headers: this.#headers,
      fetch: (request) => {
        if (request.method === "POST" && !request.headers.has("idempotency-key")) {
          request.headers.set("idempotency-key", newKey());
        }
        return sendRepeatedly(() => request.clone(), this.#retryMs, this.#fetch);
      },
    });
  }

  /** Submit content and return the accepted batch. A lost upload is sent again and applied once. */
  async submit(content: Content, options: SubmitOptions = {}, idempotencyKey?: string): Promise<Batch> {
    return this.#upload("/v1/batches", content, options, idempotencyKey);
  }

  /** Send a corrected report, or corrected records with their `_row`, back to its batch; return the batch. */
  async fix(batch: Batch | string, content: Content, options: { format?: Schemas["Format"] } = {}): Promise<Batch> {
    return this.#upload(`${path(batch)}/fix`, content, options);
  }

  /** Return the current state of a batch. */
  async batch(batch: Batch | string): Promise<Batch> {
    return this.#json<Batch>(path(batch));
  }

  /** Wait until a batch has ended and return it: by the gate's events, or by polls where they do not arrive. */
  async wait(batch: Batch | string, { timeoutSeconds = Infinity, onProgress }: WaitOptions = {}): Promise<Batch> {
    const end = Date.now() + timeoutSeconds * 1000;
    let hasStream = true;
    for (let polls = 0; ; polls++) {
      if (hasStream) {
        hasStream = false;
        for await (const current of this.#events(batch, end)) {
          [hasStream, polls] = [true, 0];
          onProgress?.(current);
          if (ENDED.has(current.state)) return current;
        }
      }
      const current = await this.batch(batch);
      onProgress?.(current);
      if (ENDED.has(current.state)) return current;
      const left = end - Date.now();
      if (left <= 0) throw new WaitTimeoutError(`the batch has not ended within ${timeoutSeconds} s`);
      await sleep(Math.min(POLL_MAX_MS, POLL_MIN_MS * 1.5 ** polls, left));
    }
  }

  /** Iterate over the issues of a batch in the order of its records. */
  issues(batch: Batch | string, filter: { code?: string; severity?: "error" | "warning" } = {}): AsyncGenerator<Issue> {
    return this.#rows<Issue>(`${path(batch)}/issues`, "issues", filter);
  }

  /** Iterate over what became of each record. */
  results(batch: Batch | string): AsyncGenerator<{ record: number; key: string | null; result: string }> {
    return this.#rows(`${path(batch)}/results`, "results");
  }

  /** Iterate over the items of a collection that meet all filters, ordered by key; `q` is words of the item. */
  items(collection = "products", filter: ItemFilter = {}): AsyncGenerator<Item> {
    return this.#rows<Item>(`/v1/collections/${encodeURIComponent(collection)}/items`, "items", filter);
  }

  /**
   * Iterate over the changes behind a cursor until there are no more, or with `follow` for ever. Store the `cursor` of a
   * change together with what you have done with it. A cursor that is too old is refused with status 410.
   */
  async *changes({ after, follow = false, waitSeconds = 30, ...filter }: ChangesOptions = {}): AsyncGenerator<Change> {
    const wait = follow ? waitSeconds : undefined;
    for (let more = true, cursor = after; more || follow; ) {
      const target = `/v1/changes${query({ fields: "after", ...filter, after: cursor, wait })}`;
      const page: { changes: Change[]; cursor: string; more: boolean } = await this.#json(target);
      yield* page.changes;
      ({ cursor, more } = page);
    }
  }

  /** Return the rejected records of a batch in the submitter's own columns, with the issues of each. */
  async report(batch: Batch | string, options: { format?: string; only?: "rejected" | "all" } = {}): Promise<Blob> {
    return (await this.#send("GET", `${path(batch)}/report${query(options)}`)).blob();
  }

  async #upload(target: string, content: Content, options: object, idempotencyKey = newKey()): Promise<Batch> {
    const isRaw = content instanceof Blob || typeof content === "string";
    const body = new Blob(isRaw ? [content] : [...encode(content)]);
    const sent = isRaw ? options : { ...options, format: "ndjson" };
    const response = await this.#send("POST", target + query(sent), body, {
      "content-type": "application/octet-stream", "idempotency-key": `"${idempotencyKey.replaceAll('"', "")}"`,
    });
    return (await response.json()) as Batch;
  }

  async #json<T>(target: string): Promise<T> {
    return (await (await this.#send("GET", target)).json()) as T;
  }

  async #send(method: string, target: string, body?: Blob, headers: Record<string, string> = {}): Promise<Response> {
    const create = () => new Request(this.#url + target, { method, body, headers: { ...this.#headers, ...headers } });
    const response = await sendRepeatedly(create, this.#retryMs, this.#fetch);
    if (!response.ok) throw await readRefusal(response);
    return response;
  }

  async *#rows<T>(target: string, member: string, filter: object = {}): AsyncGenerator<T> {
    for (let next: string | null = target + query(filter); next; ) {
      const page: Record<string, unknown> = await this.#json(next);
      yield* page[member] as T[];
      next = page["next"] as string | null;
    }
  }

  /** Yield what the event stream of a batch sends, until it ends, fails, or the time is up. */
  async *#events(batch: Batch | string, end: number): AsyncGenerator<Batch> {
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const restart = () => {
      clearTimeout(timer);
      timer = setTimeout(() => abort.abort(), Math.max(1, Math.min(SILENCE_MS, end - Date.now())));
    };
    try {
      restart();
      const headers = { ...this.#headers, accept: "text/event-stream" };
      const response = await this.#fetch(this.#url + `${path(batch)}/events`, { headers, signal: abort.signal });
      if (!response.ok || !response.body) return; // a poll says why
      const decoder = new TextDecoder();
      const reader = response.body.getReader();
      let received = "";
      for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
        restart();
        const lines = (received + decoder.decode(piece.value, { stream: true })).split("\n");
        received = lines.pop() ?? "";
        for (const line of lines) {
          if (line.startsWith("data:")) yield JSON.parse(line.slice("data:".length)) as Batch;
        }
        if (Date.now() > end) return;
      }
    } catch (error) {
      if (error instanceof SyntaxError) throw error;
      // The connection was lost, or silent for too long.
    } finally {
      clearTimeout(timer);
      abort.abort();
    }
  }
}

function path(batch: Batch | string): string {
  return `/v1/batches/${encodeURIComponent(typeof batch === "string" ? batch : batch.id)}`;
}

function query(options: object): string {
  const given = Object.entries(options).filter(([, value]) => value !== undefined && value !== null);
  return given.length ? `?${new URLSearchParams(given.map(([name, value]) => [name, String(value)]))}` : "";
}

function* encode(records: Iterable<object>): Generator<string> {
  for (const record of records) yield `${JSON.stringify(record)}\n`;
}

function newKey(): string {
  return crypto.randomUUID();
}
