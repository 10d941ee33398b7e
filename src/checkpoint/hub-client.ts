/**
 * Talks to the hub: where it is, who asks, retries, and what a refusal means for the person who asked.
 * Knows nothing about the cache.
 */
import { homedir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { HubError, messageOf } from "../errors.ts";
import { readBoundedFile } from "../json.ts";
import { type HubRepo, repoUrl } from "./hub-repo.ts";
import { quoted } from "./quoted.ts";

/** Tries of one request before giving up, or continuations of one file without a byte in between. */
const MAX_TRIES = 5;

/** Longest wait before a retry, in milliseconds, whatever `Retry-After` asks for. */
const MAX_DELAY_MS = 60_000;

/** Longest time for one answer of the API, in milliseconds; files have no such limit, only the one between bytes. */
const API_TIMEOUT_MS = 60_000;

/** Largest answer of the API accepted, in bytes; a page of 1000 files has some 200 KB. */
const MAX_API_BYTES = 16 * 1024 * 1024;

/** Statuses that pass by themselves. */
const TRANSIENT = new Set([408, 429, 500, 502, 503, 504]);

/** Where the hub and its cache are, from the environment variables that all Hugging Face tools share. */
export interface HubSettings {
  /** `HF_ENDPOINT`, without a trailing slash. */
  readonly endpoint: string;
  /** `HF_TOKEN`, or the content of `HF_TOKEN_PATH` (by default `$HF_HOME/token`). */
  readonly token: string | undefined;
  /** `HF_HUB_OFFLINE`. */
  readonly offline: boolean;
  /** `HF_HUB_CACHE`, by default `$HF_HOME/hub`, by default `~/.cache/huggingface/hub`. */
  readonly cacheFolder: string;
}

/**
 * Reads the settings from `env`.
 * @throws {HubError} an endpoint that is no http(s) URL, or a token that no HTTP header can carry
 */
export function hubSettings(env: NodeJS.ProcessEnv): HubSettings {
  const cacheHome = env["XDG_CACHE_HOME"] || join(homedir(), ".cache");
  const home = expandHome(env["HF_HOME"] || join(cacheHome, "huggingface"));
  const endpoint = (env["HF_ENDPOINT"] || "https://huggingface.co").replace(/\/+$/, "");
  if (!URL.canParse(endpoint) || !/^https?:$/.test(new URL(endpoint).protocol)) {
    throw new HubError(`HF_ENDPOINT is ${quoted(endpoint)}, expected a URL such as "https://huggingface.co".`);
  }
  return {
    endpoint,
    token: readToken(env["HF_TOKEN"], expandHome(env["HF_TOKEN_PATH"] || join(home, "token"))),
    offline: /^(1|on|yes|true)$/i.test(env["HF_HUB_OFFLINE"] ?? ""),
    cacheFolder: expandHome(env["HF_HUB_CACHE"] || env["HUGGINGFACE_HUB_CACHE"] || join(home, "hub")),
  };
}

function readToken(fromEnvironment: string | undefined, path: string): string | undefined {
  const fromFile = (): string => new TextDecoder().decode(readBoundedFile(path, 4096) ?? new Uint8Array());
  const token = (fromEnvironment || fromFile()).trim();
  if (token === "") return undefined;
  // Checked here, because fetch would put the token into its own message.
  if (!/^[\x21-\x7e]+$/.test(token)) {
    throw new HubError(`The token in HF_TOKEN or ${path} has characters that no token has. Log in again.`);
  }
  return token;
}

function expandHome(path: string): string {
  return path.replace(/^~(?=[/\\]|$)/, () => homedir());
}

/** How a client waits and stops. */
export interface HubClientOptions {
  signal?: AbortSignal | undefined;
  /** Wait before the first retry, in milliseconds; it doubles with each. @default 500 */
  retryDelayMs?: number | undefined;
}

/** Requests to one hub for one repository. */
export class HubClient {
  readonly settings: HubSettings;
  readonly repo: HubRepo;
  readonly #signal: AbortSignal | undefined;
  readonly #retryDelayMs: number;

  constructor(settings: HubSettings, repo: HubRepo, { signal, retryDelayMs = 500 }: HubClientOptions) {
    this.settings = settings;
    this.repo = repo;
    this.#signal = signal;
    this.#retryDelayMs = retryDelayMs;
  }

  /**
   * A `fetch` for the API calls of `@huggingface/hub`: with the token, retries, a time limit and a size limit. It is
   * bound to the endpoint, since a page of a listing names the address of the next.
   */
  readonly fetchApi: typeof fetch = async (input, init) => {
    const url = input instanceof Request ? input.url : String(input);
    if (new URL(url).origin !== new URL(this.settings.endpoint).origin) {
      throw new HubError(`${this.settings.endpoint}: sends on to ${quoted(url)}, on another host. Check HF_ENDPOINT.`);
    }
    for (let failures = 0; ;) {
      const timeout = AbortSignal.timeout(API_TIMEOUT_MS);
      const response = await this.#request(url, new Headers(init?.headers), timeout);
      try {
        return new Response(await readLimited(response, url), { headers: response.headers });
      } catch (error) {
        await this.waitToRetry(error, url, ++failures);
      }
    }
  };

  /**
   * Opens a file from byte `begin` on.
   * @returns a successful answer; its body may still break off
   * @throws {HubError} refused, or not reached after all retries
   */
  async openFile(url: string, begin: number): Promise<Response> {
    const headers = new Headers({ "accept-encoding": "identity" });
    if (begin > 0) headers.set("range", `bytes=${begin}-`);
    return this.#request(url, headers, undefined);
  }

  /**
   * Waits longer after each failure, for errors of the network only.
   * @throws the abort reason, or `error` where it is none of the network's, or a HubError after too many failures
   */
  async waitToRetry(error: unknown, url: string, failures: number, minimumMs = 0): Promise<void> {
    this.#signal?.throwIfAborted();
    if (!isNetworkError(error)) throw error;
    if (failures >= MAX_TRIES) throw this.#unreachable(url, error);
    const delayMs = Math.min(Math.max(this.#retryDelayMs * 2 ** (failures - 1), minimumMs), MAX_DELAY_MS);
    try {
      await sleep(delayMs, undefined, { ...(this.#signal && { signal: this.#signal }) });
    } catch (abort) {
      this.#signal?.throwIfAborted();
      throw abort;
    }
  }

  /** Ends with the abort reason when the caller has given up. */
  throwIfAborted(): void {
    this.#signal?.throwIfAborted();
  }

  async #request(url: string, headers: Headers, timeout: AbortSignal | undefined): Promise<Response> {
    headers.set("user-agent", "rge");
    // On a redirect to another host, as for files on the CDN, fetch drops this header.
    if (this.settings.token !== undefined) headers.set("authorization", `Bearer ${this.settings.token}`);
    const signals = [this.#signal, timeout].filter((signal) => signal !== undefined);
    for (let failures = 1; ; failures++) {
      let response: Response;
      try {
        response = await fetch(url, { headers, signal: AbortSignal.any(signals) });
      } catch (error) {
        await this.waitToRetry(error, url, failures);
        continue;
      }
      if (response.ok) return response;
      await response.body?.cancel();
      if (!TRANSIENT.has(response.status) || failures >= MAX_TRIES) throw this.#refusal(url, response);
      const retryAfterMs = Number(response.headers.get("retry-after") ?? 0) * 1000 || 0;
      await this.waitToRetry(new TypeError(`status ${response.status}`), url, failures, retryAfterMs);
    }
  }

  #refusal(url: string, { status, statusText, headers }: Response): HubError {
    const said = headers.get("x-error-message");
    const answer = `GET ${url}: ${status} ${statusText}${said === null ? "" : `, ${quoted(said)}`}.`;
    return new HubError(`${answer} ${advice(status, this.repo, this.settings.endpoint)}`, { status });
  }

  #unreachable(url: string, cause: unknown): HubError {
    const { endpoint } = this.settings;
    return new HubError(
      `GET ${url}: no answer from ${endpoint} after ${MAX_TRIES} tries (${rootMessage(cause)}). Check the connection and HF_ENDPOINT, or give a local folder; HF_HUB_OFFLINE=1 uses cached ${this.repo.type}s only.`,
      { cause },
    );
  }
}

function advice(status: number, repo: HubRepo, endpoint: string): string {
  const name = quoted(repo.name);
  if (status === 401 || status === 403) {
    return `Check the name ${name}; if it is right, set HF_TOKEN to a token that may read it and accept its licence at ${repoUrl(endpoint, repo)}.`;
  }
  if (status === 404) return `No such ${repo.type}, revision or file: check ${name} and what follows the @.`;
  if (TRANSIENT.has(status)) return "The hub is busy or failing: try again later; a started download continues.";
  return "Check HF_ENDPOINT.";
}

/** fetch reports every failure of the connection as a TypeError, and a time limit as a DOMException. */
function isNetworkError(error: unknown): boolean {
  return error instanceof TypeError || (error instanceof DOMException && error.name === "TimeoutError");
}

/** fetch says "fetch failed"; what happened is in the cause. */
function rootMessage(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  return messageOf(cause ?? error) || messageOf(error);
}

async function readLimited(response: Response, url: string): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    length += chunk.length;
    if (length > MAX_API_BYTES) throw new HubError(`GET ${url}: more than ${MAX_API_BYTES} bytes. Check HF_ENDPOINT.`);
    chunks.push(chunk);
  }
  const bytes = new Uint8Array(length);
  let filled = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, filled);
    filled += chunk.length;
  }
  return bytes;
}
