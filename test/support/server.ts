/** A server over the tiny checkpoint, for e2e tests. */
import { after } from "node:test";
import { Tokenizer } from "../../src/input/tokenizer.ts";
import { createServer, type RgeServer, type ServerOptions } from "../../src/server/app.ts";
import { MemoryStore } from "../../src/store/memory.ts";
import type { Embedder } from "../../src/index.ts";
import { checkpointOf, loadEmbedder } from "./fixtures.ts";

const FOLDER = checkpointOf("qwen2_5_vl");

/** A server that listens on this machine until the file's tests have ended. */
export async function startServer(
  options: Partial<ServerOptions> = {},
): Promise<RgeServer & { readonly url: string; readonly embedder: Embedder }> {
  const embedder = options.embedder ?? (await loadEmbedder(FOLDER));
  const server = await createServer({
    modelName: "tiny",
    tokenizer: Tokenizer.load(FOLDER),
    store: new MemoryStore(),
    logLevel: "silent",
    ...options,
    embedder,
  });
  const url = await server.app.listen({ port: 0, host: "127.0.0.1" });
  after(async () => {
    await server.stop();
    await embedder[Symbol.asyncDispose]();
  });
  return { ...server, url, embedder };
}

/** A reply as JSON, in which tests look for what they expect. */
// oxlint-disable-next-line typescript/no-explicit-any -- a property that is not there fails the test that looks for it
export type Reply = any;

/** Sends JSON, and reads JSON. */
export async function ask(
  url: string,
  body?: unknown,
  {
    method = body === undefined ? "GET" : "POST",
    headers = {},
  }: { method?: string; headers?: Record<string, string> } = {},
): Promise<{ status: number; headers: Headers; body: Reply }> {
  const response = await fetch(url, {
    method,
    headers: { ...(body !== undefined && { "content-type": "application/json" }), ...headers },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text === "" ? undefined : tryJson(text) };
}

function tryJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
