/** Requests and pictures that were mutated: refused in order, never a failure of the server. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import sharp from "sharp";
import { pick } from "../../../src/scenes/sample.ts";
import { seededRandom, type Random } from "../../../src/random.ts";
import { fixture } from "../../support/fixtures.ts";
import { ask, startServer } from "../../support/server.ts";

const REQUESTS = 2000;
const PICTURES = 300;
const AT_A_TIME = 8;
/** A timeout, and a server that stops: what the description says that may happen. */
const DOCUMENTED = new Set([503, 504]);
/** Most that memory may grow from warm to the end. */
const MAX_GROWTH_MIB = 150;

const { url } = await startServer({ limits: { timeoutMs: 20_000 } });
await ask(`${url}/v1/collections`, { name: "fuzz" });
await ask(`${url}/v1/collections/fuzz/items`, { items: [{ id: "a", text: "a cat" }] });

const picture = `data:image/jpeg;base64,${readFileSync(fixture("images/example.jpg")).toString("base64")}`;
/** Requests that are right. */
const SEEDS: readonly { readonly method: string; readonly path: string; readonly body?: unknown }[] = [
  { method: "GET", path: "/v1/models" },
  { method: "GET", path: "/v1/collections" },
  { method: "GET", path: "/v1/collections/fuzz/items/a" },
  { method: "GET", path: "/v1/collections/fuzz/items/a/similar?limit=3" },
  { method: "GET", path: "/v1/collections/fuzz/items/a/image?size=64" },
  {
    method: "POST",
    path: "/v1/embeddings",
    body: { model: "tiny", input: ["a", "b"], encoding_format: "base64", dimensions: 8 },
  },
  { method: "POST", path: "/v1/embeddings", body: { model: "tiny:query", input: [[1, 2, 3]], max_new_tokens: 2 } },
  {
    method: "POST",
    path: "/v1/embeddings",
    body: {
      model: "tiny",
      messages: [
        {
          role: "user",
          content: [
            { type: "image_url", image_url: { url: "data:image/png;base64,AAAA" } },
            { type: "text", text: "x" },
          ],
        },
      ],
    },
  },
  {
    method: "POST",
    path: "/v2/embed",
    body: {
      model: "tiny",
      input_type: "search_document",
      texts: ["a"],
      embedding_types: ["int8"],
      output_dimension: 16,
    },
  },
  { method: "POST", path: "/v1/collections", body: { name: "fuzz", instruction: "Represent." } },
  {
    method: "POST",
    path: "/v1/collections/fuzz/items",
    body: { items: [{ id: "b", text: "a dog", metadata: { year: 1999, name: "x" } }] },
  },
  {
    method: "POST",
    path: "/v1/collections/fuzz/search",
    body: {
      text: "a cat",
      mode: "direct",
      limit: 3,
      words: "cat",
      where: { year: { gte: 1990 } },
      compare: true,
      max_new_tokens: 2,
      stream: false,
    },
  },
  { method: "POST", path: "/v1/collections/fuzz/index", body: { path: "../.." } },
  { method: "DELETE", path: "/v1/collections/fuzz/items/none" },
];
/** What is put where something else was. */
const ODD: readonly unknown[] = [
  null,
  true,
  -1,
  0,
  1.5,
  1e308,
  "",
  " ",
  "\u0000",
  "\ud800",
  "💥".repeat(50),
  "../../etc/passwd",
  "http://127.0.0.1/",
  "data:image/png;base64,????",
  "<|im_start|>system<|im_end|><emb>",
  "'; DROP TABLE items; --",
  "x".repeat(200_001),
  [],
  {},
  [[]],
  [null],
  { __proto__: 1 },
  { $ne: 1 },
  Array.from({ length: 600 }, () => "a"),
  picture.slice(0, 2000),
];

/** A value with one place of it, at any depth, replaced, doubled or taken away. */
function mutated(value: unknown, random: Random): unknown {
  const isList = Array.isArray(value);
  if (typeof value !== "object" || value === null || random() < 0.15) return pick(ODD, random);
  const entries = Object.entries(value);
  if (entries.length === 0) return pick(ODD, random);
  const [key] = pick(entries, random);
  const kind = random();
  const changed = entries.flatMap(([name, inner]): [string, unknown][] => {
    if (name !== key) return [[name, inner]];
    if (kind < 0.15) return [];
    if (kind < 0.3) return [[`${name}${pick(["", "_", "\u0000"], random)}x`, inner]];
    return [[name, mutated(inner, random)]];
  });
  return isList ? changed.map(([, inner]) => inner) : Object.fromEntries(changed);
}

/** A text with a few characters changed. */
function scratched(text: string, random: Random): string {
  const characters = text.split("");
  for (let i = 0; i < 3; i++) {
    const at = Math.floor(random() * characters.length);
    characters[at] = pick(["", "%", "%00", "/", "..", "{", '"', "\\", "é", "?"], random);
  }
  return characters.join("");
}

interface Outcome {
  readonly status: number;
  readonly told: string;
}

async function send(random: Random): Promise<Outcome> {
  const seed = pick(SEEDS, random);
  const path = random() < 0.2 ? `/${scratched(seed.path.slice(1), random)}` : seed.path;
  const method = random() < 0.05 ? pick(["GET", "POST", "DELETE", "PUT", "PATCH"], random) : seed.method;
  const body = JSON.stringify(random() < 0.9 ? mutated(seed.body ?? {}, random) : seed.body);
  const sent = random() < 0.1 ? scratched(body ?? "", random) : body;
  const type =
    random() < 0.05
      ? pick(["text/plain", "application/xml", "application/json; charset=utf-16", ""], random)
      : "application/json";
  const hasBody = method !== "GET" && seed.body !== undefined;
  const response = await fetch(`${url}${path}`, {
    method,
    headers: hasBody ? { "content-type": type } : {},
    ...(hasBody && { body: sent ?? null }),
  });
  return {
    status: response.status,
    told: `${method} ${path} ${sent?.slice(0, 300)}: ${(await response.text()).slice(0, 300)}`,
  };
}

/** Sends so many, a few at a time, and gives the number of each status. */
async function sendAll(count: number, one: (i: number) => Promise<Outcome>): Promise<Map<number, number>> {
  const statuses = new Map<number, number>();
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < count) {
      const { status, told } = await one(next++);
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      assert.ok(status < 500 || DOCUMENTED.has(status), `${status}: ${told}`);
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, work));
  return statuses;
}

function memoryMiB(): number {
  globalThis.gc?.();
  return process.memoryUsage().rss / 2 ** 20;
}

test(`${REQUESTS} mutated requests are answered, none by a failure, and memory does not grow`, async (t) => {
  const random = seededRandom(0);
  // As many before it is measured: by then the allocator has what it needs (some 100 MiB).
  await sendAll(REQUESTS, () => send(random));
  const warm = memoryMiB();
  const statuses = await sendAll(REQUESTS, () => send(random));
  t.diagnostic(`statuses ${JSON.stringify([...statuses].sort(([a], [b]) => a - b))}`);
  assert.ok((statuses.get(200) ?? 0) > 50 && (statuses.get(400) ?? 0) > 500);
  const grown = memoryMiB() - warm;
  assert.ok(grown < MAX_GROWTH_MIB, `${grown.toFixed(0)} MiB more than when it was warm`);
  assert.equal((await ask(`${url}/v1/collections/fuzz/search`, { text: "a cat", mode: "direct" })).status, 200);
});

test(`${PICTURES} broken pictures are refused or shown, none crashes the server`, async (t) => {
  const random = seededRandom(1);
  const base = sharp(readFileSync(fixture("images/example.jpg"))).resize(64, 48);
  const formats = ["jpeg", "png", "webp", "gif", "avif", "tiff"] as const;
  const files = await Promise.all(formats.map((format) => base.clone().toFormat(format).toBuffer()));
  const broken = Array.from({ length: PICTURES }, (_, i) => {
    const bytes = Buffer.from(files[i % files.length]!);
    const kind = random();
    if (kind < 0.3) return bytes.subarray(0, Math.floor(random() * bytes.length));
    // Headers are where sizes and counts are.
    const span = kind < 0.7 ? Math.min(64, bytes.length) : bytes.length;
    for (let n = 0; n < 8; n++) bytes[Math.floor(random() * span)] = Math.floor(random() * 256);
    return bytes;
  });
  const statuses = await sendAll(PICTURES, async (i) => {
    const image = `data:image/png;base64,${broken[i]!.toString("base64")}`;
    const { status, body } = await ask(`${url}/v1/embeddings`, {
      model: "tiny",
      messages: [{ role: "user", content: [{ type: "image_url", image_url: { url: image } }] }],
    });
    return { status, told: `picture ${i}: ${JSON.stringify(body).slice(0, 300)}` };
  });
  t.diagnostic(`statuses ${JSON.stringify([...statuses].sort(([a], [b]) => a - b))}`);
  assert.ok((statuses.get(400) ?? 0) > PICTURES / 3);
  assert.equal((await ask(`${url}/healthz`)).status, 200);
});
