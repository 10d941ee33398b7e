/** Pictures from other machines: only where the operator allows it, and never from private networks. */
import { get as getHttp, type Agent as HttpAgent, type IncomingMessage } from "node:http";
import { get as getHttps, type Agent as HttpsAgent } from "node:https";
import { RequestFilteringHttpAgent, RequestFilteringHttpsAgent } from "request-filtering-agent";
import { InputError, messageOf } from "../errors.ts";

const MAX_REDIRECTS = 3;
const TIMEOUT_MS = 10_000;

/** Agents by protocol. */
interface Agents {
  readonly "http:": HttpAgent;
  readonly "https:": HttpsAgent;
}

// The agents look at the address that a name resolves to, when it is connected to: a name that changes in between is
// caught as well.
const AGENTS: Agents = { "http:": new RequestFilteringHttpAgent(), "https:": new RequestFilteringHttpsAgent() };

/** How a picture is fetched. */
export interface FetchOptions {
  readonly maxBytes: number;
  readonly signal: AbortSignal;
  /** Agents for tests, whose server is on this machine. @default agents that refuse private addresses */
  readonly agents?: Agents;
}

/**
 * Fetches a picture.
 * @throws {InputError} an address that is not public, too many redirects, too large, no answer in time
 */
export async function fetchImage(url: string, options: FetchOptions): Promise<Uint8Array> {
  let at = parse(url);
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
    const { body, location } = await once(at, options);
    if (body !== undefined) return body;
    at = parse(new URL(location, at).href);
  }
  throw new InputError(`${shown(url)}: more than ${MAX_REDIRECTS} redirects`);
}

function parse(url: string): URL {
  const parsed = URL.parse(url);
  if (parsed === null || !(parsed.protocol in AGENTS)) throw new InputError(`${shown(url)} is no http or https URL`);
  if (parsed.username !== "" || parsed.password !== "")
    throw new InputError(`${shown(parsed.host)}: a URL with a name or password is not fetched`);
  return parsed;
}

type Answer = { body: Uint8Array; location?: undefined } | { body?: undefined; location: string };

async function once(url: URL, { maxBytes, signal, agents = AGENTS }: FetchOptions): Promise<Answer> {
  const isSecure = url.protocol === "https:";
  const all = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
  try {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const options = { agent: agents[isSecure ? "https:" : "http:"], signal: all, headers: { accept: "image/*" } };
      (isSecure ? getHttps : getHttp)(url, options, resolve).on("error", reject);
    });
    const { statusCode = 0, headers } = response;
    if (statusCode >= 300 && statusCode < 400 && headers.location !== undefined) {
      response.destroy();
      return { location: headers.location };
    }
    if (statusCode !== 200) {
      response.destroy();
      throw new InputError(`the answer has status ${statusCode}`);
    }
    const parts: Buffer[] = [];
    let size = 0;
    for await (const part of response as AsyncIterable<Buffer>) {
      size += part.length;
      if (size > maxBytes) {
        response.destroy();
        throw new InputError(`more than ${maxBytes} bytes`);
      }
      parts.push(part);
    }
    return { body: Buffer.concat(parts) };
  } catch (error) {
    signal.throwIfAborted();
    throw new InputError(`${shown(url.href)}: ${messageOf(error)}`, { cause: error });
  }
}

function shown(url: string): string {
  return JSON.stringify(url.length <= 200 ? url : `${url.slice(0, 200)}…`);
}
