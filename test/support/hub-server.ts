/** A local server that speaks as much of the Hugging Face hub's protocol as a download needs, and can misbehave. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { type IncomingMessage, type Server, type ServerResponse, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { HubError } from "../../src/errors.ts";

/** One request as it arrived. */
export interface SeenRequest {
  readonly path: string;
  readonly host: string | undefined;
  readonly range: string | undefined;
  readonly authorization: string | undefined;
}

/** What a hub serves and how it goes wrong; a test may change the fields while the server runs. */
export interface HubServerOptions {
  /** @default "model" */
  type?: "model" | "dataset";
  /** `owner/name` of the model or dataset. */
  model: string;
  /** Commit that every revision stands for, 40 hex digits. */
  commit: string;
  /** Content by path; folders are what their paths say. */
  files: Record<string, Uint8Array>;
  /** Entries added to the listing as they are. */
  extraEntries?: readonly object[];
  /** Commit that the API claims, where that is not `commit`. */
  claimedCommit?: string;
  /** Hash that the listing gives for a file, where that is not its own. */
  claimedHash?: Record<string, string>;
  /** Files whose next answer breaks off after so many bytes; an entry is used up by one request. */
  cuts?: Record<string, number[]>;
  /** Files whose next answer stops after so many bytes with the connection open; an entry is used up by one request. */
  stalls?: Record<string, number[]>;
  /** Answers a request with this status instead, where there is one; called once per request. */
  refuse?: (path: string, nth: number) => number | undefined;
  /** Serve whole files whatever the Range header asks. @default false */
  ignoresRange?: boolean;
  /** Send file requests on to another host name, as the hub does to its CDN. @default false */
  redirectsFiles?: boolean;
  /** Files per page of the listing. @default 1000 */
  pageSize?: number;
}

/** A running hub. */
export class HubServer {
  readonly options: HubServerOptions;
  readonly requests: SeenRequest[] = [];
  readonly #server: Server;
  #port = 0;

  private constructor(options: HubServerOptions, server: Server) {
    this.options = options;
    this.#server = server;
  }

  /** Starts a server on a free port of this machine. */
  static async start(options: HubServerOptions): Promise<HubServer> {
    const server = createServer();
    const hub = new HubServer(options, server);
    server.on("request", (request, response) => hub.#answer(request, response));
    await new Promise<void>((resolve) => {
      server.listen(0, "127.0.0.1", resolve);
    });
    hub.#port = (server.address() as AddressInfo).port;
    return hub;
  }

  /** What `HF_ENDPOINT` is to be set to. */
  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** The requests for the content of `file`, in order. */
  fileRequests(file: string): SeenRequest[] {
    return this.requests.filter(({ path }) => path.endsWith(`/${file}`));
  }

  /** Stops the server and cuts what is under way. */
  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const { pathname, searchParams } = new URL(request.url ?? "/", this.url);
    const path = decodeURIComponent(pathname);
    const { host, range, authorization } = request.headers;
    this.requests.push({ path, host, range, authorization });
    const nth = this.requests.filter((seen) => seen.path === path).length;
    const status = this.options.refuse?.(path, nth);
    const { type = "model", model, commit } = this.options;
    const api = `/api/${type}s/${model}`;
    const page = type === "model" ? `/${model}` : `/${type}s/${model}`;
    const file = [`${page}/resolve/${commit}/`, "/cdn/"].flatMap((begin) =>
      path.startsWith(begin) ? path.slice(begin.length) : [],
    )[0];
    const content = file === undefined ? undefined : this.options.files[file];
    if (status !== undefined) {
      response.writeHead(status, { "x-error-message": `test says ${status}` }).end();
    } else if (path.startsWith(`${api}/revision/`)) {
      const sha = this.options.claimedCommit ?? commit;
      sendJson(response, { _id: "1", id: model, sha, private: false, downloads: 0, likes: 0, gated: false });
    } else if (path === `${api}/tree/${commit}`) {
      this.#sendListing(response, `${api}/tree/${commit}`, searchParams);
    } else if (file !== undefined && !path.startsWith("/cdn/") && this.options.redirectsFiles) {
      response.writeHead(302, { location: `http://localhost:${this.#port}/cdn/${file}` }).end();
    } else if (file !== undefined && content !== undefined) {
      this.#sendFile(response, file, content, range);
    } else {
      response.writeHead(404, { "x-error-code": "EntryNotFound" }).end();
    }
  }

  #sendListing(response: ServerResponse, path: string, query: URLSearchParams): void {
    const { files, claimedHash = {}, extraEntries = [], pageSize = 1000 } = this.options;
    const isListed = (name: string): boolean => query.get("recursive") === "true" || !name.includes("/");
    const names = Object.keys(files);
    const folders = names.flatMap((name) => name.split("/").flatMap((_, i, parts) => parts.slice(0, i).join("/")));
    const entries = [
      ...["assets", ...new Set(folders)]
        .filter((name) => name !== "" && isListed(name))
        .map((name) => ({ type: "directory", path: name, size: 0, oid: "0".repeat(40) })),
      ...names.filter(isListed).map((name) => fileEntry(name, files[name]!, claimedHash[name])),
      ...extraEntries,
    ];
    const cursor = Number(query.get("cursor") ?? 0);
    const next = cursor + pageSize;
    if (next < entries.length) {
      const rest = new URLSearchParams({ ...Object.fromEntries(query), cursor: String(next) });
      response.setHeader("link", `<${this.url}${path}?${rest.toString()}>; rel="next"`);
    }
    sendJson(response, entries.slice(cursor, next));
  }

  #sendFile(response: ServerResponse, file: string, content: Uint8Array, range: string | undefined): void {
    const begin = this.options.ignoresRange ? undefined : /^bytes=(\d+)-$/.exec(range ?? "")?.[1];
    const body = content.subarray(Number(begin ?? 0));
    response.writeHead(begin === undefined ? 200 : 206, {
      "content-length": body.length,
      etag: `"${sha256(content)}"`,
      "x-linked-etag": `"${sha256(content)}"`,
      "x-linked-size": content.length,
      "x-repo-commit": this.options.commit,
      ...(begin !== undefined && { "content-range": `bytes ${begin}-${content.length - 1}/${content.length}` }),
    });
    const cut = this.options.cuts?.[file]?.shift();
    const stall = this.options.stalls?.[file]?.shift();
    if (stall !== undefined) response.write(body.subarray(0, stall));
    else if (cut === undefined) response.end(body);
    else response.write(body.subarray(0, cut), () => setImmediate(() => response.destroy()));
  }
}

/** Big files are in LFS, named by their SHA-256; others in Git. */
function fileEntry(path: string, content: Uint8Array, claimedHash: string | undefined): object {
  const oid = gitHash(content);
  const size = content.length;
  if (!/\.(safetensors|parquet|zip|tar|tgz|gz)(-\d+)?$/.test(path))
    return { type: "file", path, size, oid: claimedHash ?? oid };
  return { type: "file", path, size, oid, lfs: { oid: claimedHash ?? sha256(content), size, pointerSize: 134 } };
}

function sendJson(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(value));
}

function sha256(content: Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}

/** The name Git gives to this content. */
function gitHash(content: Uint8Array): string {
  return createHash("sha1").update(`blob ${content.length}\0`).update(content).digest("hex");
}

/** For `assert.rejects`: a HubError with this status and every one of `parts` in its message. */
export function hubError(status: number | undefined, ...parts: string[]): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof HubError, String(error));
    assert.equal(error.status, status);
    for (const part of parts) assert.ok(error.message.includes(part), `expected ${part} in: ${error.message}`);
    return true;
  };
}
