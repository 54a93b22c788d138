// When a request is repeated: which refusals are temporary, and how long the pauses are.

const PAUSE_MIN_MS = 200;
const PAUSE_MAX_MS = 5000;
const TRANSIENT_STATUSES = new Set([408, 425, 429, 500, 502, 503, 504]);
/** Statuses of failures that last, even if a proxy answered. */
const FINAL_STATUSES = new Set([501, 505]);

/** A problem document (RFC 9457). */
export interface Problem {
  code?: string;
  title?: string;
  detail?: string;
  [member: string]: unknown;
}

/** The gate, or a proxy in front of it, refused a request. */
export class RefusedError extends Error {
  constructor(
    readonly status: number,
    /** Name of the refusal, such as `batch_unknown`; `status 502` and the like if a proxy answered. */
    readonly code: string,
    readonly problem: Problem,
    readonly retryAfterMs: number,
  ) {
    super(`${problem.detail ?? problem.title ?? "The request was refused."} (${code})`);
    this.name = "RefusedError";
  }

  /** Whether a later attempt may succeed. */
  get isTransient(): boolean {
    if (TRANSIENT_STATUSES.has(this.status) || this.code === "key_in_use") return true;
    return this.status >= 500 && !this.problem.code && !FINAL_STATUSES.has(this.status);
  }
}

/** The batch had not ended when the time of `wait` was up. */
export class WaitTimeoutError extends Error {
  override name = "WaitTimeoutError";
}

/** Return the error of an answer that is not a success. */
export async function readRefusal(response: Response): Promise<RefusedError> {
  let problem: Problem = {};
  try {
    const body: unknown = await response.json();
    if (typeof body === "object" && body !== null) problem = body as Problem;
  } catch {
    // Not JSON: a proxy answered.
  }
  const seconds = Number(response.headers.get("retry-after") ?? 0);
  const retryAfterMs = Number.isFinite(seconds) ? seconds * 1000 : 0;
  return new RefusedError(response.status, problem.code ?? `status ${response.status}`, problem, retryAfterMs);
}

/** Send requests until there is a final answer or `limitMs` have passed; `create` returns a new request each time. */
export async function sendRepeatedly(create: () => Request, limitMs: number, fetcher: typeof fetch): Promise<Response> {
  const start = Date.now();
  for (let attempt = 0; ; attempt++) {
    let response: Response | undefined;
    let failure: unknown; // the connection was lost, or there was none
    let waitMs = 0;
    const request = create();
    try {
      response = await fetcher(request);
    } catch (error) {
      failure = error;
    }
    if (response) {
      if (response.ok) return response;
      const refused = await readRefusal(response.clone());
      if (!refused.isTransient) return response;
      waitMs = refused.retryAfterMs;
    }
    const pause = Math.max(waitMs, Math.min(PAUSE_MAX_MS, PAUSE_MIN_MS * 2 ** attempt) * (0.7 + 0.3 * Math.random()));
    if (request.signal.aborted || Date.now() + pause > start + limitMs) {
      if (response) return response;
      throw failure;
    }
    await sleep(pause);
  }
}

/** Wait. */
export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
