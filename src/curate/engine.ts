/** Asks a chat endpoint that speaks OpenAI's protocol: retries, limits, and what a refusal means for who asked. */
import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod";
import { EngineError, messageOf } from "../errors.ts";
import type { Random } from "../random.ts";
import { KEY_VARIABLES } from "./endpoint.ts";
import type { Written } from "./filters.ts";
import type { ChatMessage } from "./prompt.ts";
import { readRetryAfter, retryDelayMs } from "./retry.ts";

/** Where and how to ask. */
export interface EngineSettings {
  /** Address of the completions, as `completionsUrl` gives it. */
  readonly url: URL;
  /** Sent as a bearer token. */
  readonly key: string | undefined;
  readonly model: string;
  /** Most tokens of an answer. */
  readonly maxTokens: number;
  readonly temperature: number;
  /** Longest time for one answer. */
  readonly timeoutMs: number;
  /** Further tries of a request after the first. */
  readonly maxRetries: number;
}

/** Largest reply read, in bytes: far above any rationale with its token counts, far below what fills the memory. */
const MAX_REPLY_BYTES = 4 * 2 ** 20;
/** Characters of a refusal's own words that a message repeats. */
const MAX_SAID_CHARS = 300;

const replySchema = z.object({
  choices: z
    .array(z.object({ finish_reason: z.string().nullish(), message: z.object({ content: z.string().nullish() }) }))
    .min(1),
});
const refusalSchema = z.union([
  z.object({ error: z.object({ message: z.string() }) }).transform(({ error }) => error.message),
  z.object({ error: z.string() }).transform(({ error }) => error),
  z.object({ message: z.string() }).transform(({ message }) => message),
]);

/** A try that failed and may go better the next time. */
class FailedTry extends Error {
  readonly status: number | undefined;
  readonly askedMs: number | undefined;
  constructor(message: string, options: ErrorOptions & { status?: number; askedMs?: number | undefined } = {}) {
    super(message, options);
    this.status = options.status;
    this.askedMs = options.askedMs;
  }
}

/** Whether a refusal with this status passes by itself. */
export function isTransient(status: number): boolean {
  return status === 408 || status === 425 || status === 429 || status >= 500;
}

/** One endpoint with one model. */
export class ChatEngine {
  readonly #settings: EngineSettings;
  /** How messages name it: a query string may hold a secret. */
  readonly #name: string;

  constructor(settings: EngineSettings) {
    this.#settings = settings;
    this.#name = `POST ${settings.url.origin}${settings.url.pathname}`;
  }

  /**
   * What the model answers.
   * @param random draws the waits between tries
   * @throws {EngineError} refused, or no usable answer after all tries
   * @throws the reason of `signal`
   */
  async write(messages: readonly ChatMessage[], random: Random, signal: AbortSignal): Promise<Written> {
    const { model, maxTokens, temperature, maxRetries } = this.#settings;
    const body = JSON.stringify({ model, messages, max_tokens: maxTokens, temperature, stream: false });
    for (let failures = 1; ; failures++) {
      try {
        return await this.#try(body, signal);
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof FailedTry)) throw error;
        const { status, message } = error;
        if (failures > maxRetries) {
          const tries = `${failures} ${failures === 1 ? "try" : "tries"}`;
          throw new EngineError(`${this.#name}: no usable answer in ${tries}, the last: ${message}`, {
            cause: error,
            ...(status !== undefined && { status }),
          });
        }
        await this.#wait(retryDelayMs(failures, error.askedMs, random), signal);
      }
    }
  }

  async #try(body: string, signal: AbortSignal): Promise<Written> {
    const { url, key, timeoutMs } = this.#settings;
    const headers = new Headers({ "content-type": "application/json", "user-agent": "rge" });
    if (key !== undefined) headers.set("authorization", `Bearer ${key}`);
    const bounded = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
    let response: Response;
    let bytes: Uint8Array;
    try {
      // A redirect would carry pictures and texts to a host that nobody named, and turn the request into a GET.
      response = await fetch(url, { method: "POST", headers, body, redirect: "manual", signal: bounded });
      bytes = await readBody(response);
    } catch (error) {
      signal.throwIfAborted();
      throw toFailedTry(error, timeoutMs);
    }
    if (!response.ok) throw this.#refusal(response, bytes);
    return readReply(bytes);
  }

  async #wait(delayMs: number, signal: AbortSignal): Promise<void> {
    try {
      await sleep(delayMs, undefined, { signal });
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    }
  }

  #refusal({ status, statusText, headers }: Response, bytes: Uint8Array): Error {
    const answer = `${status} ${statusText}${this.#said(bytes)}`;
    if (isTransient(status)) {
      const askedMs = readRetryAfter(headers.get("retry-after"), Date.now());
      return new FailedTry(answer, { status, askedMs });
    }
    const advice = this.#advice(status, headers.get("location"));
    return new EngineError(`${this.#name}: ${answer}. ${advice}`, { status });
  }

  /** The engine's own words, without the key should it repeat that. */
  #said(bytes: Uint8Array): string {
    const body = new TextDecoder().decode(bytes);
    let said = body;
    try {
      said = refusalSchema.parse(JSON.parse(body));
    } catch {
      // No JSON, or of another form: then the words are those of the body.
    }
    if (this.#settings.key !== undefined) said = said.replaceAll(this.#settings.key, "[key]");
    said = said.replaceAll(/\s+/g, " ").trim().slice(0, MAX_SAID_CHARS);
    return said === "" ? "" : `, ${JSON.stringify(said)}`;
  }

  #advice(status: number, location: string | null): string {
    const { key, model } = this.#settings;
    const [variable, other] = KEY_VARIABLES;
    if (status === 401 && key === undefined) return `It wants a key: set ${variable} (or ${other}).`;
    if (status === 401) return `The key in ${variable} (or, without that, ${other}) is not accepted: set another.`;
    if (status === 403) return `This key may not use ${JSON.stringify(model)} there: check ${variable} and --model.`;
    if (status === 404) return `Check --engine, and that it serves --model ${JSON.stringify(model)}.`;
    if (status >= 300 && status < 400)
      return `It sends on to ${JSON.stringify(location)}: if that is right, give it as --engine.`;
    return "Check --model, --max-tokens and --temperature against what the engine takes.";
  }
}

/** @throws {FailedTry} longer than a reply may be */
async function readBody({ body }: Response): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body ?? []) {
    length += chunk.length;
    if (length > MAX_REPLY_BYTES) throw new FailedTry(`a reply of more than ${MAX_REPLY_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** fetch reports every failure of the connection as a TypeError whose cause says what happened. */
function toFailedTry(error: unknown, timeoutMs: number): Error {
  if (error instanceof FailedTry) return error;
  if (error instanceof DOMException && error.name === "TimeoutError")
    return new FailedTry(`no reply within ${timeoutMs} ms (--timeout-ms)`, { cause: error });
  if (!(error instanceof TypeError)) throw error;
  const { cause } = error;
  // Where several addresses were tried, the cause has a code and no message of its own.
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  return new FailedTry(`the connection failed (${messageOf(cause ?? error) || code || error.message})`, {
    cause: error,
  });
}

/** @throws {FailedTry} not JSON, or not a chat endpoint's reply */
function readReply(bytes: Uint8Array): Written {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw new FailedTry(`a reply that is not JSON (${messageOf(error).slice(0, MAX_SAID_CHARS)})`, { cause: error });
  }
  const { data } = replySchema.safeParse(value);
  const choice = data?.choices[0];
  if (choice === undefined) {
    const said = refusalSchema.safeParse(value).data?.slice(0, MAX_SAID_CHARS);
    throw new FailedTry(`a reply without a choice${said === undefined ? "" : `, ${JSON.stringify(said)}`}`);
  }
  return { text: choice.message.content ?? "", finishReason: choice.finish_reason ?? undefined };
}
