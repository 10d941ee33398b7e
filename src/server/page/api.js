/** Asks the server; with a key where it wants one. */

const KEY = "rge-key";

/** What the server says is wrong. */
export class ApiError extends Error {
  /** @param {number} status @param {string} message */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** @param {string} key */
export function keepKey(key) {
  sessionStorage.setItem(KEY, key);
}

/**
 * @param {string} path
 * @param {{ body?: unknown, signal?: AbortSignal }} [options]
 * @returns {Promise<Response>} an answer with a status below 400
 */
async function request(path, { body, signal } = {}) {
  const key = sessionStorage.getItem(KEY);
  let response;
  try {
    response = await fetch(path, {
      method: body === undefined ? "GET" : "POST",
      headers: {
        ...(body !== undefined && { "content-type": "application/json" }),
        ...(key !== null && { authorization: `Bearer ${key}` }),
      },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal,
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, "The server cannot be reached. Is it running?");
  }
  if (response.ok) return response;
  const said = await response.json().catch(() => undefined);
  throw new ApiError(response.status, said?.error?.message ?? `The server answered with status ${response.status}.`);
}

/** @param {string} path @param {{ body?: unknown, signal?: AbortSignal }} [options] */
export async function askJson(path, options) {
  return await (await request(path, options)).json();
}

/**
 * A picture as a URL for an img: fetched, as an img sends no key.
 * @param {string} path
 */
export async function pictureUrl(path) {
  if (sessionStorage.getItem(KEY) === null) return path;
  return URL.createObjectURL(await (await request(path)).blob());
}

/** @param {string} path */
export async function pictureBlob(path) {
  return await (await request(path)).blob();
}

/**
 * Events of an answer that is streamed.
 * @param {string} path
 * @param {unknown} body
 * @param {AbortSignal} signal
 * @returns {AsyncGenerator<{ event: string, data: any }>}
 */
export async function* askEvents(path, body, signal) {
  const response = await request(path, { body, signal });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    const blocks = text.split("\n\n");
    text = blocks.pop();
    for (const block of blocks) {
      const [, event, data] = /^event: (\w+)\ndata: (.*)$/s.exec(block) ?? [];
      if (event !== undefined) yield { event, data: JSON.parse(data) };
    }
  }
}
