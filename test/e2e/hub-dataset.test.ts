import assert from "node:assert/strict";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type TestContext, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import {
  type EvalData,
  type EvalDataProgress,
  type FetchEvalDataOptions,
  fetchEvalData,
} from "../../src/dataset/fetch-eval-data.ts";
import { type ResolvedDataset, type ResolveDatasetOptions, resolveDataset } from "../../src/dataset/hub-dataset.ts";
import { DatasetError } from "../../src/errors.ts";
import { tarOf, zipOf } from "../support/archives.ts";
import { HubServer, hubError, type HubServerOptions } from "../support/hub-server.ts";

const name = "test-owner/MMEB-eval";
const commit = "0123456789abcdef0123456789abcdef01234567";
const ROWS = "ChartQA/test-00000-of-00001.parquet";
const MARKER = ".rge-unpacked.json";
const picture = Buffer.from("a picture of ChartQA");
const images = zipOf([
  { name: "ChartQA/a.png", content: picture },
  { name: "EDIS/b.png", content: Buffer.from("a picture of EDIS") },
  { name: "big.bin", content: Buffer.alloc(1_000_000, "0123456789abcdef"), isDeflated: false },
]);

interface Setup {
  readonly hub: HubServer;
  readonly cache: string;
  readonly env: NodeJS.ProcessEnv;
  readonly resolve: (options?: Partial<ResolveDatasetOptions>, name?: string) => Promise<ResolvedDataset>;
  readonly fetch: (options?: Partial<FetchEvalDataOptions>, name?: string) => Promise<EvalData>;
}

/** A hub with a dataset as MMEB-eval is laid out, and an empty cache. */
async function setUp(t: TestContext, options: Partial<HubServerOptions> = {}): Promise<Setup> {
  const files = {
    "README.md": Buffer.from("# read me"),
    [ROWS]: Buffer.from("rows of ChartQA"),
    "EDIS/test-00000-of-00001.parquet": Buffer.from("rows of EDIS"),
    "EDIS/notes.txt": Buffer.from("notes"),
    "video-tasks/data/MVBench.jsonl": Buffer.from("{}\n"),
    "images.zip": images,
  };
  const hub = await HubServer.start({ type: "dataset", model: name, commit, files, ...options });
  const home = mkdtempSync(join(tmpdir(), "rge-dataset-"));
  t.after(async () => {
    await hub.close();
    rmSync(home, { recursive: true, force: true });
  });
  const env: NodeJS.ProcessEnv = { HF_ENDPOINT: hub.url, HF_HOME: home };
  const base = { env, retryDelayMs: 1 };
  return {
    hub,
    cache: join(home, "hub", "datasets--test-owner--MMEB-eval"),
    env,
    resolve: (more = {}, of = name) => resolveDataset(of, { wants: (path) => path !== "README.md", ...base, ...more }),
    fetch: (more = {}, of = name) => fetchEvalData(of, { datasets: undefined, ...base, ...more }),
  };
}

/** All files below a folder, in order. */
function filesOf(folder: string): string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();
}

/** A folder with files in it, that is there until the test ends. */
function localFolder(t: TestContext, files: Record<string, Uint8Array>): string {
  const folder = mkdtempSync(join(tmpdir(), "rge-local-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
  }
  return folder;
}

async function fetchLocal(folder: string): Promise<EvalData> {
  return await fetchEvalData(folder, { datasets: undefined });
}

describe("download", () => {
  test("only wanted files arrive, nested ones too, in the layout that all Hugging Face tools share", async (t) => {
    const { hub, cache, resolve } = await setUp(t, { pageSize: 3 });
    const { folder, revision, files } = await resolve({ wants: (path) => /\.(parquet|zip)$/.test(path) });
    assert.equal(folder, join(cache, "snapshots", commit));
    assert.equal(revision, commit);
    assert.deepEqual(filesOf(folder), [ROWS, "EDIS/test-00000-of-00001.parquet", "images.zip"]);
    assert.deepEqual(files.map(({ path }) => path).sort(), filesOf(folder));
    assert.ok(lstatSync(join(folder, ROWS)).isSymbolicLink());
    assert.deepEqual(readFileSync(join(folder, ROWS)), hub.options.files[ROWS]);
    assert.deepEqual(readFileSync(join(folder, "images.zip")), images);
    assert.equal(readFileSync(join(cache, "refs", "main"), "utf8"), commit);
    const asked = new Set(hub.requests.map(({ path }) => path.split("/").slice(0, 5).join("/")));
    assert.deepEqual([...asked].sort(), [`/api/datasets/${name}`, `/datasets/${name}/resolve`]);
  });

  test("a second call asks for what it lacks only, and keeps what others wanted", async (t) => {
    const { hub, resolve } = await setUp(t);
    const { folder } = await resolve({ wants: (path) => path === ROWS });
    hub.requests.length = 0;
    await resolve({ wants: (path) => path === ROWS || path === "images.zip" });
    assert.deepEqual(
      hub.requests.filter(({ path }) => path.includes("/resolve/")).map(({ path }) => path),
      [`/datasets/${name}/resolve/${commit}/images.zip`],
    );
    assert.deepEqual(filesOf(folder), [ROWS, "images.zip"]);
  });

  test("a connection cut midway continues with a Range request, in this run and in the next", async (t) => {
    const cuts = { "images.zip": [300_000, 200_000, 0, 0, 0, 0, 0] };
    const { hub, resolve } = await setUp(t, { cuts });
    await assert.rejects(resolve(), hubError(undefined, "images.zip", "after 5 tries"));
    hub.requests.length = 0;
    hub.options.cuts = {};
    const { folder } = await resolve();
    assert.match(hub.fileRequests("images.zip")[0]?.range ?? "", /^bytes=[1-9]\d*-$/);
    assert.deepEqual(readFileSync(join(folder, "images.zip")), images);
  });

  test("content with another hash is refused and deleted, big and small files alike", async (t) => {
    for (const [file, hash] of [
      ["images.zip", "ab".repeat(32)],
      ["EDIS/notes.txt", "cd".repeat(20)],
    ] as const) {
      const { cache, resolve } = await setUp(t, { claimedHash: { [file]: hash } });
      await assert.rejects(resolve(), hubError(undefined, file, hash, "content has hash"));
      assert.equal(existsSync(join(cache, "blobs", hash)), false);
    }
  });

  test("a local folder is returned as it is, without the hub", async (t) => {
    const { hub, env, resolve } = await setUp(t);
    const folder = env["HF_HOME"]!;
    assert.deepEqual(await resolve({}, folder), { folder, revision: undefined, files: [], derivedFolder: undefined });
    assert.deepEqual(hub.requests, []);
  });
});

describe("offline and pinned", () => {
  test("HF_HUB_OFFLINE uses the cache without a request, and only where all that is wanted is there", async (t) => {
    const { hub, env, resolve } = await setUp(t);
    const offline = { env: { ...env, HF_HUB_OFFLINE: "1" } };
    await assert.rejects(resolve(offline), hubError(undefined, "HF_HUB_OFFLINE is set"));
    const rows = { wants: (path: string): boolean => path === ROWS };
    const { folder } = await resolve(rows);
    hub.requests.length = 0;
    assert.equal((await resolve({ ...rows, ...offline })).folder, folder);
    await assert.rejects(resolve(offline), hubError(undefined, "not completely"));
    assert.deepEqual(hub.requests, []);
  });

  test("a pinned commit is reported, and asks nobody once it is cached", async (t) => {
    const { hub, resolve } = await setUp(t);
    const pinned = `${name}@${commit}`;
    assert.equal((await resolve({}, pinned)).revision, commit);
    hub.requests.length = 0;
    assert.equal((await resolve({}, pinned)).revision, commit);
    assert.deepEqual(hub.requests, []);
    const other = "f".repeat(40);
    await assert.rejects(resolve({}, `${name}@${other}`), hubError(undefined, other, "as the commit"));
  });

  test("an unreachable hub falls back to the cache with a notice", async (t) => {
    const { hub, resolve } = await setUp(t);
    const { folder } = await resolve();
    await hub.close();
    const notices: string[] = [];
    assert.equal((await resolve({ onNotice: (notice) => notices.push(notice) })).folder, folder);
    assert.match(notices.join(), /no answer .*Using the cached test-owner\/MMEB-eval/);
    await assert.rejects(resolve({}, "test-owner/other"), hubError(undefined, "cached datasets only"));
  });

  test("a file that went from the cache is fetched again", async (t) => {
    const { resolve } = await setUp(t);
    const pinned = `${name}@${commit}`;
    const { folder } = await resolve({}, pinned);
    rmSync(join(folder, ROWS));
    await resolve({}, pinned);
    assert.ok(existsSync(join(folder, ROWS)));
  });
});

describe("refusals", () => {
  const entry = { type: "file", size: 1, oid: "0".repeat(40) };
  for (const path of ["../../evil.parquet", "a/../../evil.parquet", "/etc/passwd", "a//b", "a/./b", "..\\evil", ".."]) {
    test(`a listing with ${JSON.stringify(path)} is refused before anything is written`, async (t) => {
      const { cache, resolve } = await setUp(t, { extraEntries: [{ ...entry, path }] });
      await assert.rejects(resolve(), hubError(undefined, JSON.stringify(path), "leave the dataset's folder"));
      assert.equal(existsSync(cache), false);
    });
  }

  test("statuses say what to do, with the page of the dataset", async (t) => {
    const { hub, resolve } = await setUp(t);
    hub.options.refuse = () => 403;
    await assert.rejects(resolve(), hubError(403, "accept its licence", `${hub.url}/datasets/${name}`));
    hub.options.refuse = () => 404;
    await assert.rejects(resolve(), hubError(404, "No such dataset", name));
    await assert.rejects(resolve({}, "MMEB-eval"), hubError(undefined, '"owner/dataset"'));
  });

  test("nothing that is wanted, and a damaged listing in the cache, are refused", async (t) => {
    const { cache, resolve } = await setUp(t);
    await assert.rejects(resolve({ wants: () => false }), hubError(undefined, "none of its 6 files is wanted"));
    await resolve();
    const path = join(cache, "listings", `${commit}.json`);
    writeFileSync(path, JSON.stringify([{ path: "../../evil", sizeBytes: 1, hash: "0".repeat(40) }]));
    await assert.rejects(resolve({}, `${name}@${commit}`), hubError(undefined, path, "Delete it"));
  });

  test("an aborted download ends with the caller's reason", async (t) => {
    const { hub, resolve } = await setUp(t, { stalls: { "images.zip": [300_000] } });
    const controller = new AbortController();
    const reason = new Error("changed my mind");
    const aborted = resolve({ signal: controller.signal });
    while (hub.fileRequests("images.zip").length === 0) await sleep(5);
    controller.abort(reason);
    await assert.rejects(aborted, (error) => error === reason);
  });
});

describe("evaluation data", () => {
  test("rows of chosen datasets and all pictures arrive, unpacked once for their content", async (t) => {
    const { hub, cache, env, fetch } = await setUp(t);
    const progress: EvalDataProgress[] = [];
    const data = await fetch({ datasets: ["ChartQA", "MVBench"], onProgress: (step) => progress.push(step) });
    assert.equal(data.revision, commit);
    assert.deepEqual(filesOf(data.folder), [ROWS, "images.zip", "video-tasks/data/MVBench.jsonl"]);
    const [first, root] = data.imageRoots;
    assert.equal(first, data.folder);
    assert.equal(dirname(root!), join(cache, "unpacked"));
    assert.deepEqual(readFileSync(join(root!, "ChartQA/a.png")), picture);
    assert.deepEqual([...new Set(progress.map(({ stage }) => stage))], ["download", "unpack"]);
    assert.deepEqual(progress.at(-1), {
      stage: "unpack",
      archive: "images.zip",
      doneBytes: images.length,
      totalBytes: images.length,
    });
    rmSync(join(root!, "EDIS/b.png"));
    hub.options.commit = "f".repeat(40);
    const later = await fetch({ datasets: ["EDIS"] });
    assert.notEqual(later.folder, data.folder);
    assert.equal(later.imageRoots[1], root);
    assert.equal(existsSync(join(root!, "EDIS/b.png")), false);
    await hub.close();
    assert.deepEqual(await fetch({ datasets: ["EDIS"], env: { ...env, HF_HUB_OFFLINE: "1" } }), later);
  });

  test("a dataset that is not there is named before anything is downloaded", async (t) => {
    const { hub, fetch } = await setUp(t);
    await assert.rejects(fetch({ datasets: ["ChartQA", "Chart"] }), (error: unknown) => {
      assert.ok(error instanceof DatasetError);
      assert.match(error.message, /no rows of "Chart"; it has "ChartQA", "EDIS", "data"/);
      return true;
    });
    assert.deepEqual(
      hub.requests.filter(({ path }) => path.includes("/resolve/")),
      [],
    );
  });

  test("parts of a tar are fetched as one, and its wrapping folder is a place to look in", async (t) => {
    const tar = gzipSync(
      tarOf(["ChartQA", "EDIS"].map((folder) => ({ name: `MMEB/${folder}/a.png`, content: picture }))),
    );
    const { hub, fetch } = await setUp(t);
    hub.options.files = {
      [ROWS]: hub.options.files[ROWS]!,
      "image-tasks/mmeb_v1.tar.gz-00": tar.subarray(0, 60),
      "image-tasks/mmeb_v1.tar.gz-01": tar.subarray(60),
      "video-tasks/frames/video_cls.tar.gz": gzipSync(tarOf([])),
    };
    const data = await fetch({ archives: (path) => path === "image-tasks/mmeb_v1.tar.gz" });
    assert.equal(existsSync(join(data.folder, "video-tasks")), false);
    assert.equal(data.imageRoots.length, 3);
    assert.deepEqual(readFileSync(join(data.imageRoots[2]!, "ChartQA/a.png")), picture);
  });

  test("a hostile archive fails with its name and leaves nothing unpacked", async (t) => {
    const { hub, cache, fetch } = await setUp(t);
    hub.options.files = { ...hub.options.files, "images.zip": zipOf([{ name: "../evil.png", content: picture }]) };
    await assert.rejects(fetch(), /images\.zip: entry "\.\.\/evil\.png": would leave the folder/);
    assert.deepEqual(filesOf(join(cache, "unpacked")), []);
  });
});

describe("local folders", () => {
  test("an archive is unpacked beside itself where there are no pictures, once", async (t) => {
    const folder = localFolder(t, { [ROWS]: Buffer.from("rows"), "images.zip": images });
    const data = await fetchLocal(folder);
    assert.deepEqual(data, { folder, imageRoots: [folder, join(folder, "images")], revision: undefined });
    assert.deepEqual(filesOf(join(folder, "images")), [MARKER, "ChartQA/a.png", "EDIS/b.png", "big.bin"].sort());
    rmSync(join(folder, "images/big.bin"));
    assert.deepEqual(await fetchLocal(folder), data);
    assert.equal(existsSync(join(folder, "images/big.bin")), false);
    rmSync(join(folder, "images.zip"));
    assert.deepEqual(await fetchLocal(folder), data);
  });

  test("a folder with pictures is used as it is, wherever they are, links too", async (t) => {
    const beside = localFolder(t, { [ROWS]: Buffer.from("rows"), "ChartQA/a.png": picture, "images.zip": images });
    assert.deepEqual((await fetchLocal(beside)).imageRoots, [beside]);
    const own = localFolder(t, { [ROWS]: Buffer.from("rows"), "images/a.png": picture, "images.zip": images });
    assert.deepEqual((await fetchLocal(own)).imageRoots, [own, join(own, "images")]);
    const linked = localFolder(t, { [ROWS]: Buffer.from("rows"), "all.zip": images });
    symlinkSync(join(own, "images"), join(linked, "pictures"));
    symlinkSync(join(linked, "nowhere"), join(linked, "dangling"));
    assert.deepEqual((await fetchLocal(linked)).imageRoots, [linked]);
    for (const folder of [beside, own, linked]) assert.equal(existsSync(join(folder, "images", MARKER)), false);
  });

  test("what a killed run left is not taken for pictures", async (t) => {
    const left = "images.11111111-1111-4111-8111-111111111111.unpacking/a.png";
    const folder = localFolder(t, { [left]: picture, "images.zip": images });
    await fetchLocal(folder);
    assert.ok(existsSync(join(folder, "images/ChartQA/a.png")));
  });
});
