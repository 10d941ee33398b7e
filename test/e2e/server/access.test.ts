/** Who may ask, for what, and how much. */
import assert from "node:assert/strict";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { InputError } from "../../../src/errors.ts";
import { KeyRing, newKey } from "../../../src/server/keys.ts";
import { fetchImage } from "../../../src/server/remote-image.ts";
import { fixture } from "../../support/fixtures.ts";
import { ask, startServer } from "../../support/server.ts";

const root = mkdtempSync(join(tmpdir(), "rge-access-"));
after(() => rmSync(root, { recursive: true, force: true }));
const files = join(root, "files");
mkdirSync(join(files, "sub"), { recursive: true });
cpSync(fixture("images/example.jpg"), join(files, "sub/in.jpg"));
cpSync(fixture("images/example.jpg"), join(root, "out.jpg"));
symlinkSync(join(root, "out.jpg"), join(files, "link.jpg"));
const { key, line } = newKey("tests");
const keyFile = join(root, "keys");
writeFileSync(keyFile, `# who may ask\n${newKey("others").line}\n${line}\n`);

const open = await startServer({ filesRoot: files, limits: { itemsPerRequest: 4, bodyBytes: 100_000 } });
const closed = await startServer({ embedder: open.embedder, keys: KeyRing.read(keyFile) });
const remote = await startServer({ embedder: open.embedder, allowRemoteImages: true });

function picture(url: string): unknown {
  return { model: "tiny", messages: [{ role: "user", content: [{ type: "image_url", image_url: { url } }] }] };
}

test("with keys, only who has one is let in; health and the page's files are open", async () => {
  const embed = { model: "tiny", input: "a" };
  for (const authorization of [undefined, "", "Bearer ", "Bearer rge_wrong", `Basic ${key}`, `Bearer ${key}x`]) {
    const { status, body, headers } = await ask(`${closed.url}/v1/embeddings`, embed, {
      headers: authorization === undefined ? {} : { authorization },
    });
    assert.equal(status, 401, authorization);
    assert.equal(body.error.code, "invalid_api_key");
    assert.equal(headers.get("www-authenticate"), "Bearer");
  }
  const headers = { authorization: `Bearer ${key}` };
  assert.equal((await ask(`${closed.url}/v1/embeddings`, embed, { headers })).status, 200);
  for (const path of ["/healthz", "/readyz", "/", "/docs/json"])
    assert.equal((await ask(`${closed.url}${path}`)).status, 200, path);
  for (const path of ["/metrics", "/v1/models", "/v1/collections", "/nothing"])
    assert.equal((await ask(`${closed.url}${path}`)).status, 401, path);
});

test("keys are kept as hashes, and a file that lets nobody in is refused", () => {
  assert.ok(!line.includes(key) && /^tests [0-9a-f]{64}$/.test(line));
  const bad = join(root, "bad");
  writeFileSync(bad, "# none\n");
  assert.throws(() => KeyRing.read(bad), /nobody would be let in/);
  writeFileSync(bad, `${key}\n`);
  assert.throws(() => KeyRing.read(bad), /line 1: expected a name and 64 hex digits/);
  assert.throws(() => newKey("two words"), InputError);
});

test("every answer has a request's id, the client's own where it gives one", async () => {
  const { headers } = await ask(`${open.url}/v1/models`);
  assert.match(headers.get("x-request-id")!, /^[0-9a-f-]{36}$/);
  const named = await ask(`${open.url}/v1/models`, undefined, { headers: { "x-request-id": "mine-1" } });
  assert.equal(named.headers.get("x-request-id"), "mine-1");
});

test("files only under the root, whatever the path says", async () => {
  assert.equal((await ask(`${open.url}/v1/embeddings`, picture("sub/in.jpg"))).status, 200);
  assert.equal((await ask(`${open.url}/v1/embeddings`, picture(join(files, "sub/in.jpg")))).status, 200);
  for (const path of [
    "../out.jpg",
    join(root, "out.jpg"),
    "link.jpg",
    "sub/../../out.jpg",
    "/etc/passwd",
    "a\0b",
    "../none",
  ])
    assert.equal((await ask(`${open.url}/v1/embeddings`, picture(path))).status, 403, path);
  assert.equal((await ask(`${open.url}/v1/embeddings`, picture("none.jpg"))).status, 404);
  assert.equal((await ask(`${remote.url}/v1/embeddings`, picture("sub/in.jpg"))).body.error.code, "files_off");
});

test("pictures are not fetched unless allowed, and then never from addresses that are not public", async () => {
  const off = await ask(`${open.url}/v1/embeddings`, picture("http://example.com/a.png"));
  assert.deepEqual([off.status, off.body.error.code], [403, "remote_images_off"]);
  const { host } = new URL(open.url);
  for (const url of [
    `http://${host}/`,
    "http://127.1/",
    "http://2130706433/",
    "http://[::1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://localhost:1/",
    "http://169.254.169.254/latest/meta-data",
    "http://10.0.0.1/",
    "http://192.168.1.1/",
    "http://0.0.0.0/",
    "http://[fe80::1]/",
    "http://[fd00::1]/",
    "https://127.0.0.1/",
    "http://user:name@93.184.216.34/",
  ]) {
    const { status, body } = await ask(`${remote.url}/v1/embeddings`, picture(url));
    assert.equal(status, 400, url);
    assert.match(body.error.message, /not allowed|is not fetched/, url);
  }
});

test("redirects are followed a few times, each looked at; what is too large is broken off", async () => {
  const server = createHttpServer((request, response) => {
    if (request.url === "/loop") response.writeHead(302, { location: "/loop" }).end();
    else if (request.url === "/inside") response.writeHead(302, { location: "http://10.0.0.1/" }).end();
    else if (request.url === "/file") response.writeHead(302, { location: "file:///etc/passwd" }).end();
    else if (request.url === "/moved") response.writeHead(301, { location: "/ok" }).end();
    else if (request.url === "/ok") response.end("bytes");
    else if (request.url === "/large") response.end(Buffer.alloc(5000));
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  after(() => server.close());
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const { RequestFilteringHttpAgent, RequestFilteringHttpsAgent } = await import("request-filtering-agent");
  // This machine is let through here, and nothing else that is private.
  const allow = { allowIPAddressList: ["127.0.0.1"] };
  const agents = { "http:": new RequestFilteringHttpAgent(allow), "https:": new RequestFilteringHttpsAgent(allow) };
  const get = async (path: string): Promise<string> =>
    Buffer.from(
      await fetchImage(`${base}${path}`, { maxBytes: 1000, signal: new AbortController().signal, agents }),
    ).toString();
  assert.equal(await get("/ok"), "bytes");
  assert.equal(await get("/moved"), "bytes");
  await assert.rejects(get("/loop"), /more than 3 redirects/);
  await assert.rejects(get("/inside"), /10\.0\.0\.1.* not allowed/);
  await assert.rejects(get("/file"), /no http or https URL/);
  await assert.rejects(get("/large"), /more than 1000 bytes/);
  await assert.rejects(get("/none"), /status 404/);
});

test("bodies, items and what is no JSON are refused in OpenAI's shape", async () => {
  const many = await ask(`${open.url}/v1/embeddings`, { model: "tiny", input: ["a", "b", "c", "d", "e"] });
  assert.deepEqual([many.status, many.body.error.code], [413, "too_many_items"]);
  const large = await ask(`${open.url}/v1/embeddings`, { model: "tiny", input: "a".repeat(200_000) });
  assert.equal(large.status, 413);
  const text = await fetch(`${open.url}/v1/embeddings`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: "{",
  });
  assert.equal(text.status, 400);
  assert.equal(((await text.json()) as { error: { type: string } }).error.type, "invalid_request_error");
  const other = await fetch(`${open.url}/v1/embeddings`, {
    method: "POST",
    headers: { "content-type": "text/csv" },
    body: "a",
  });
  assert.equal(other.status, 415);
  assert.equal((await ask(`${open.url}/v1/nothing`)).body.error.code, "no_route");
});
