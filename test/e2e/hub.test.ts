import assert from "node:assert/strict";
import {
  existsSync,
  lstatSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Checkpoint } from "../../src/checkpoint/checkpoint.ts";
import type { DownloadProgress } from "../../src/checkpoint/hub-download.ts";
import type { ResolveOptions } from "../../src/checkpoint/hub-resolve.ts";
import { resolveModel } from "../../src/checkpoint/hub.ts";
import { HubError } from "../../src/errors.ts";
import { HubServer, hubError, type HubServerOptions } from "../support/hub-server.ts";

const fixtureFolder = fileURLToPath(new URL("../fixtures/qwen2_5_vl/checkpoint", import.meta.url));
const model = "test-owner/tiny.model";
const commit = "0123456789abcdef0123456789abcdef01234567";
const WEIGHTS = "model.safetensors";

interface Setup {
  readonly hub: HubServer;
  readonly cache: string;
  readonly env: NodeJS.ProcessEnv;
  readonly weights: Uint8Array;
  readonly resolve: (name?: string, options?: ResolveOptions) => Promise<string>;
}

/** A hub with the fixture's files and some that nobody needs, and an empty cache. */
async function setUp(t: TestContext, options: Partial<HubServerOptions> = {}): Promise<Setup> {
  const files: Record<string, Uint8Array> = { "README.md": Uint8Array.of(1), "pytorch_model.bin": Uint8Array.of(2) };
  for (const name of readdirSync(fixtureFolder)) files[name] = readFileSync(join(fixtureFolder, name));
  const hub = await HubServer.start({ model, commit, files, ...options });
  const home = mkdtempSync(join(tmpdir(), "rge-hub-"));
  t.after(async () => {
    await hub.close();
    rmSync(home, { recursive: true, force: true });
  });
  const env: NodeJS.ProcessEnv = { HF_ENDPOINT: hub.url, HF_HOME: home };
  return {
    hub,
    cache: join(home, "hub", "models--test-owner--tiny.model"),
    env,
    weights: hub.options.files[WEIGHTS]!,
    resolve: (name = model, more = {}) => resolveModel(name, { env, retryDelayMs: 1, ...more }),
  };
}

function partialFiles(cache: string): string[] {
  const blobs = join(cache, "blobs");
  return readdirSync(blobs).flatMap((name) => (name.endsWith(".incomplete") ? join(blobs, name) : []));
}

describe("download", () => {
  test("a model arrives in the shared cache layout, only the files needed, and opens", async (t) => {
    const { cache, weights, resolve } = await setUp(t);
    const progress: DownloadProgress[] = [];
    const folder = await resolve(model, { onProgress: (step) => progress.push(step) });
    assert.equal(folder, join(cache, "snapshots", commit));
    assert.deepEqual(readdirSync(folder).sort(), readdirSync(fixtureFolder).sort());
    assert.equal(readFileSync(join(cache, "refs", "main"), "utf8"), commit);
    assert.ok(lstatSync(join(folder, WEIGHTS)).isSymbolicLink());
    assert.deepEqual(readFileSync(join(folder, WEIGHTS)), weights);
    assert.ok(readdirSync(join(cache, "blobs")).every((name) => /^([0-9a-f]{40}|[0-9a-f]{64})$/.test(name)));
    using checkpoint = Checkpoint.open(folder);
    using original = Checkpoint.open(fixtureFolder);
    assert.equal(checkpoint.hash, original.hash);
    const total = weights.length;
    assert.deepEqual(progress.at(-1), {
      file: WEIGHTS,
      receivedBytes: total,
      totalBytes: total,
      filesDone: 7,
      filesTotal: 7,
    });
  });

  test("a second call downloads nothing again, and a cached commit asks nobody", async (t) => {
    const { hub, resolve } = await setUp(t);
    const folder = await resolve();
    hub.requests.length = 0;
    assert.equal(await resolve(), folder);
    assert.deepEqual(
      hub.requests.filter(({ path }) => path.includes("/resolve/")),
      [],
    );
    hub.requests.length = 0;
    assert.equal(await resolve(`${model}@${commit}`), folder);
    assert.deepEqual(hub.requests, []);
  });

  test("shards are downloaded as the index names them, over a listing in pages", async (t) => {
    const { hub, resolve } = await setUp(t, { pageSize: 3 });
    const { [WEIGHTS]: weights, ...rest } = hub.options.files;
    const shard = "model-00001-of-00001.safetensors";
    const index = { weight_map: { "model.norm.weight": shard } };
    hub.options.files = {
      ...rest,
      [shard]: weights!,
      "unrelated.safetensors": Uint8Array.of(1),
      "model.safetensors.index.json": new TextEncoder().encode(JSON.stringify(index)),
    };
    const folder = await resolve();
    assert.deepEqual(readFileSync(join(folder, shard)), weights);
    assert.equal(existsSync(join(folder, "unrelated.safetensors")), false);
  });

  test("an adapter arrives with its configuration", async (t) => {
    const { hub, env, resolve } = await setUp(t);
    const lora = fileURLToPath(new URL("../fixtures/qwen2_5_vl/lora", import.meta.url));
    const names = ["adapter_config.json", "adapter_model.safetensors"];
    hub.options.files = Object.fromEntries(names.map((name) => [name, readFileSync(join(lora, name))]));
    const adapter = await resolve();
    assert.deepEqual(readdirSync(adapter).sort(), names);
    assert.equal(await resolve(model, { env: { ...env, HF_HUB_OFFLINE: "1" } }), adapter);
    using checkpoint = Checkpoint.open(fixtureFolder, { adapter });
    assert.equal(checkpoint.has("model.language_model.norm.weight"), true);
  });

  test("two downloads of one model at once both end with its content", async (t) => {
    const { weights, resolve } = await setUp(t, { cuts: { [WEIGHTS]: [700_000, 300_000] } });
    const folders = await Promise.all([resolve(), resolve()]);
    for (const folder of folders) assert.deepEqual(readFileSync(join(folder, WEIGHTS)), weights);
  });

  test("a local folder is returned as it is, without the hub", async (t) => {
    const { hub, resolve } = await setUp(t);
    assert.equal(await resolve(fixtureFolder), fixtureFolder);
    assert.deepEqual(hub.requests, []);
  });
});

describe("cuts", () => {
  test("a connection cut midway continues with a Range request to identical bytes", async (t) => {
    const { hub, weights, resolve } = await setUp(t, { cuts: { [WEIGHTS]: [700_000] } });
    const folder = await resolve();
    const ranges = hub.fileRequests(WEIGHTS).map(({ range }) => range);
    assert.equal(ranges.length, 2);
    assert.equal(ranges[0], undefined);
    const resumedAt = Number(/^bytes=(\d+)-$/.exec(ranges[1] ?? "")?.[1]);
    assert.ok(resumedAt > 0 && resumedAt <= 700_000, `resumed at ${resumedAt}`);
    assert.deepEqual(readFileSync(join(folder, WEIGHTS)), weights);
  });

  test("what an earlier run left is continued by the next", async (t) => {
    const { hub, weights, resolve } = await setUp(t, { cuts: { [WEIGHTS]: [700_000, 0, 0, 0, 0, 0] } });
    await assert.rejects(resolve(), hubError(undefined, WEIGHTS, "after 5 tries", "HF_ENDPOINT"));
    hub.options.cuts = {};
    hub.requests.length = 0;
    const folder = await resolve();
    assert.match(hub.fileRequests(WEIGHTS)[0]?.range ?? "", /^bytes=[1-9]\d*-$/);
    assert.deepEqual(readFileSync(join(folder, WEIGHTS)), weights);
  });

  test("a server that ignores the range costs the file again, not its content", async (t) => {
    const { weights, resolve } = await setUp(t, { cuts: { [WEIGHTS]: [700_000] }, ignoresRange: true });
    assert.deepEqual(readFileSync(join(await resolve(), WEIGHTS)), weights);
  });

  test("a spoilt part from an earlier run is noticed by its hash and fetched afresh", async (t) => {
    const { hub, cache, weights, resolve } = await setUp(t, { cuts: { [WEIGHTS]: [700_000, 0, 0, 0, 0, 0] } });
    await assert.rejects(resolve());
    writeFileSync(partialFiles(cache)[0]!, new Uint8Array(1000).fill(7));
    hub.options.cuts = {};
    assert.deepEqual(readFileSync(join(await resolve(), WEIGHTS)), weights);
  });

  test("busy and failing answers are tried again, then reported with their status", async (t) => {
    const { hub, resolve } = await setUp(t, { refuse: (_, nth) => (nth === 1 ? 503 : nth === 2 ? 429 : undefined) });
    await resolve();
    hub.options.refuse = () => 503;
    await assert.rejects(resolve(`${model}@other`), hubError(503, "/revision/other", "busy or failing"));
  });
});

describe("offline", () => {
  test("HF_HUB_OFFLINE uses the cache without a request, and says so when it cannot", async (t) => {
    const { hub, env, resolve } = await setUp(t);
    const offline = { env: { ...env, HF_HUB_OFFLINE: "1" } };
    await assert.rejects(resolve(model, offline), hubError(undefined, "HF_HUB_OFFLINE is set"));
    const folder = await resolve();
    hub.requests.length = 0;
    assert.equal(await resolve(model, offline), folder);
    assert.deepEqual(hub.requests, []);
  });

  test("an interrupted download does not count as cached", async (t) => {
    const { env, resolve } = await setUp(t, { refuse: (path) => (path.endsWith(WEIGHTS) ? 404 : undefined) });
    await assert.rejects(resolve(), hubError(404, WEIGHTS));
    await assert.rejects(
      resolve(model, { env: { ...env, HF_HUB_OFFLINE: "1" } }),
      hubError(undefined, "not completely"),
    );
  });

  test("an unreachable hub falls back to the cache with a notice, a refusal does not", async (t) => {
    const { hub, resolve } = await setUp(t);
    const folder = await resolve();
    const notices: string[] = [];
    const onNotice = (notice: string): unknown => notices.push(notice);
    hub.options.refuse = () => 404;
    await assert.rejects(resolve(model, { onNotice }), hubError(404));
    assert.deepEqual(notices, []);
    await hub.close();
    assert.equal(await resolve(model, { onNotice }), folder);
    assert.equal(notices.length, 1);
    assert.match(notices.join(), /no answer .*Using the cached test-owner\/tiny\.model/);
    await assert.rejects(resolve("other-owner/model"), hubError(undefined, hub.url, "no answer", "HF_ENDPOINT"));
  });
});

describe("access", () => {
  test("the token of HF_TOKEN goes to the hub and not to the host it sends files from", async (t) => {
    const { hub, env, resolve } = await setUp(t, { redirectsFiles: true });
    await resolve(model, { env: { ...env, HF_TOKEN: "hf_secret" } });
    const onHub = hub.requests.filter(({ path }) => !path.startsWith("/cdn/"));
    const elsewhere = hub.requests.filter(({ path }) => path.startsWith("/cdn/"));
    assert.ok(elsewhere.length > 0 && elsewhere.every(({ authorization }) => authorization === undefined));
    assert.ok(onHub.every(({ authorization }) => authorization === "Bearer hf_secret"));
  });

  test("the token file in HF_HOME is read, HF_TOKEN comes first, and a broken one is not sent", async (t) => {
    const { hub, env, resolve } = await setUp(t);
    writeFileSync(join(env["HF_HOME"]!, "token"), "hf_from_file\n");
    await resolve();
    assert.equal(hub.requests[0]?.authorization, "Bearer hf_from_file");
    await resolve(model, { env: { ...env, HF_TOKEN: "hf_from_env" } });
    assert.equal(hub.requests.at(-1)?.authorization, "Bearer hf_from_env");
    await assert.rejects(resolve(model, { env: { ...env, HF_TOKEN: "hf_a\nb" } }), (error: Error) => {
      assert.ok(error instanceof HubError && !error.message.includes("hf_a"));
      return true;
    });
  });

  test("401 and 403 say to set HF_TOKEN and accept the licence, 404 to check the name", async (t) => {
    const { hub, resolve } = await setUp(t);
    for (const status of [401, 403]) {
      hub.options.refuse = () => status;
      const parts = [hub.url, `test says ${status}`, "set HF_TOKEN", "accept its licence", model];
      await assert.rejects(resolve(), hubError(status, ...parts));
    }
    hub.options.refuse = () => undefined;
    await assert.rejects(resolve("test-owner/absent"), hubError(404, "test-owner/absent", "check"));
  });

  test("an endpoint that is no http URL is refused", async (t) => {
    const { env, resolve } = await setUp(t);
    await assert.rejects(
      resolve(model, { env: { ...env, HF_ENDPOINT: "file:///etc" } }),
      hubError(undefined, "file:///etc"),
    );
  });
});

describe("hostile hubs and names", () => {
  const entry = { type: "file", size: 1, oid: "0".repeat(40) };
  for (const path of ["../../evil/config.json", "/etc/passwd", "..\\config.json", ".."]) {
    test(`a listing with ${JSON.stringify(path)} is refused before anything is written`, async (t) => {
      const { cache, resolve } = await setUp(t, { extraEntries: [{ ...entry, path }] });
      await assert.rejects(resolve(), hubError(undefined, JSON.stringify(path), "leave the model's folder"));
      assert.equal(existsSync(cache), false);
    });
  }

  test("a listing with a hash or size that is none is refused", async (t) => {
    const { hub, cache, resolve } = await setUp(t);
    for (const wrong of [{ oid: "../../x" }, { size: -1 }, { size: "1" }, { lfs: { oid: "../x", size: 1 } }]) {
      hub.options.extraEntries = [{ ...entry, path: "config_x.json", ...wrong }];
      await assert.rejects(resolve(), hubError(undefined, "unexpected answer", model));
    }
    assert.equal(existsSync(cache), false);
  });

  test("a commit that is none is refused", async (t) => {
    const { resolve } = await setUp(t, { claimedCommit: "../../../evil" });
    await assert.rejects(resolve(), hubError(undefined, "../../../evil", "as the commit"));
  });

  test("content with another hash is refused and deleted, weights and small files alike", async (t) => {
    for (const [file, hash] of [
      [WEIGHTS, "ab".repeat(32)],
      ["config.json", "cd".repeat(20)],
    ] as const) {
      const { cache, resolve } = await setUp(t, { claimedHash: { [file]: hash } });
      await assert.rejects(resolve(), hubError(undefined, file, hash, "content has hash"));
      assert.equal(
        readdirSync(join(cache, "blobs")).some((name) => name.startsWith(hash)),
        false,
      );
    }
  });

  test("more bytes than listed are refused", async (t) => {
    const { hub, resolve } = await setUp(t);
    const listed = { type: "file", path: "vocab.json", size: 2, oid: "0".repeat(40) };
    hub.options.extraEntries = [listed];
    hub.options.files = { ...hub.options.files, "vocab.json": new Uint8Array(100) };
    await assert.rejects(resolve(), hubError(undefined, "vocab.json", "more than the 2 bytes"));
  });

  test("a model larger than the disk, and a small file that is huge, are refused at the start", async (t) => {
    const { hub, resolve } = await setUp(t);
    const { [WEIGHTS]: _, ...rest } = hub.options.files;
    hub.options.files = rest;
    const lfs = { oid: "ab".repeat(32), size: 2 ** 52, pointerSize: 134 };
    hub.options.extraEntries = [{ ...entry, path: WEIGHTS, lfs }];
    await assert.rejects(resolve(), hubError(undefined, "are free", "HF_HUB_CACHE"));
    hub.options.extraEntries = [{ ...entry, path: "vocab.json", lfs }];
    await assert.rejects(resolve(), hubError(undefined, "vocab.json", "at most"));
  });

  test("a model without safetensors is refused", async (t) => {
    const { hub, resolve } = await setUp(t);
    const { [WEIGHTS]: _, ...rest } = hub.options.files;
    hub.options.files = rest;
    await assert.rejects(resolve(), hubError(undefined, "has no model.safetensors"));
  });

  for (const name of [
    "../a",
    "a/../b",
    "a/b/c",
    "/nowhere",
    "a",
    "a/b@../c",
    "a/b@x/../y",
    "a--b/c",
    "a/b?x",
    "a/b@",
    "",
  ]) {
    test(`the name ${JSON.stringify(name)} is refused`, async (t) => {
      const { hub, resolve } = await setUp(t);
      await assert.rejects(resolve(name), hubError(undefined, JSON.stringify(name), "no such folder"));
      assert.deepEqual(hub.requests, []);
    });
  }
});

describe("abort", () => {
  test("an aborted download ends with the caller's reason and can be continued", async (t) => {
    const { hub, cache, weights, resolve } = await setUp(t, { stalls: { [WEIGHTS]: [700_000] } });
    const controller = new AbortController();
    const reason = new Error("changed my mind");
    const aborted = resolve(model, { signal: controller.signal });
    const hasPart = (): boolean =>
      existsSync(join(cache, "blobs")) && partialFiles(cache).some((path) => statSync(path).size > 0);
    while (hub.fileRequests(WEIGHTS).length === 0 || !hasPart()) await sleep(5);
    controller.abort(reason);
    await assert.rejects(aborted, (error) => error === reason);
    hub.requests.length = 0;
    assert.deepEqual(readFileSync(join(await resolve(), WEIGHTS)), weights);
    assert.match(hub.fileRequests(WEIGHTS)[0]?.range ?? "", /^bytes=[1-9]/);
  });

  test("a signal aborted before the start sends nothing", async (t) => {
    const { hub, resolve } = await setUp(t);
    const signal = AbortSignal.abort(new Error("too late"));
    await assert.rejects(resolve(model, { signal }), /too late/);
    assert.deepEqual(hub.requests, []);
  });
});
