/** Asks an rge server; what the clients for other frameworks share. */
import { EngineError, messageOf } from "../errors.ts";

/** Where the server is. */
export interface ServerAddress {
  /** Such as `http://127.0.0.1:7860`. */
  readonly baseUrl: string;
  readonly apiKey?: string | undefined;
  /** @default the global `fetch` */
  readonly fetch?: typeof globalThis.fetch | undefined;
}

/** How a request is made. */
export interface RequestOptions {
  readonly signal?: AbortSignal | undefined;
  readonly headers?: Readonly<Record<string, string | undefined>> | undefined;
}

/** What `POST /v1/embeddings` answers. */
export interface EmbeddingsAnswer {
  readonly data: readonly { readonly embedding: number[]; readonly rationale?: string }[];
  readonly usage: { readonly total_tokens: number };
}

/**
 * Sends a request and reads its JSON.
 * @throws {EngineError} a server that cannot be reached or refuses, with its status and what it says
 */
export async function askServer<T>(
  { baseUrl, apiKey, fetch = globalThis.fetch }: ServerAddress,
  path: string,
  body: unknown,
  { signal, headers = {} }: RequestOptions = {},
): Promise<T> {
  const url = `${baseUrl.replace(/\/+$/, "")}${path}`;
  const given = Object.entries(headers).filter((entry): entry is [string, string] => entry[1] !== undefined);
  let response: Response;
  try {
    response = await fetch(url, {
      method: body === undefined ? "GET" : "POST",
      headers: {
        ...(body !== undefined && { "content-type": "application/json" }),
        ...(apiKey !== undefined && { authorization: `Bearer ${apiKey}` }),
        ...Object.fromEntries(given),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      ...(signal && { signal }),
    });
  } catch (error) {
    signal?.throwIfAborted();
    throw new EngineError(`${url} cannot be reached: ${messageOf(error)}`, { cause: error });
  }
  const text = await response.text();
  if (!response.ok) {
    let said = text.slice(0, 200);
    try {
      said = (JSON.parse(text) as { error: { message: string } }).error.message;
    } catch {
      // No rge server, or something in between: what it said stands as it is.
    }
    throw new EngineError(`${url}: status ${response.status}: ${said}`, { status: response.status });
  }
  try {
    return JSON.parse(text) as T;
  } catch (error) {
    throw new EngineError(`${url}: the answer is no JSON`, { cause: error });
  }
}
