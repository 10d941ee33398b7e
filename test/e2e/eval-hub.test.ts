/** `rge eval mmeb` on a dataset of the hub: rows and an archive of pictures, fetched once. */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { EvalResults } from "../../src/eval/types.ts";
import { zipOf } from "../support/archives.ts";
import { HubServer } from "../support/hub-server.ts";
import { CHECKPOINT, runCli, temporaryFolder } from "../support/run-cli.ts";

const SAMPLE = fileURLToPath(new URL("../fixtures/mmeb/", import.meta.url));
const commit = "89abcdef0123456789abcdef0123456789abcdef";
const name = "test-owner/MMEB-eval";

describe("rge eval mmeb on the hub's data", () => {
  const root = temporaryFolder();
  let hub: HubServer;
  before(async () => {
    const rows = globSync("*/*.parquet", { cwd: SAMPLE }).map((path) => [path, readFileSync(join(SAMPLE, path))]);
    const pictures = globSync("images/*.png", { cwd: SAMPLE }).map((path) => ({
      name: path,
      content: readFileSync(join(SAMPLE, path)),
    }));
    hub = await HubServer.start({
      type: "dataset",
      model: name,
      commit,
      files: { ...(Object.fromEntries(rows) as Record<string, Uint8Array>), "images.zip": zipOf(pictures) },
    });
  });
  after(async () => {
    await hub.close();
  });

  test("fetches what is asked for, says which revision it was, and needs no hub the second time", async () => {
    const fast = [
      "--min-pixels",
      "3136",
      "--max-pixels",
      "50176",
      "--max-new-tokens",
      "0",
      "--datasets",
      "RefCOCO,ChartQA",
    ];
    const results: EvalResults[] = [];
    for (const [data, env] of [
      [name, { HF_ENDPOINT: hub.url }],
      [name, { HF_ENDPOINT: hub.url, HF_HUB_OFFLINE: "1" }],
      [SAMPLE, {}],
    ] as const) {
      const args = ["eval", "mmeb", "--data", data, "--model", CHECKPOINT, ...fast, "--json"];
      const run = await runCli([...args, "--out", join(root, `out-${results.length}`)], {
        env: { HF_HOME: join(root, "home"), ...env },
      });
      assert.equal(run.status, 0, run.stderr);
      results.push(JSON.parse(run.stdout) as EvalResults);
    }
    const [fetched, offline, local] = results;
    assert.deepEqual(
      results.map(({ provenance }) => provenance.dataRevision),
      [commit, commit, null],
    );
    assert.deepEqual(fetched!.datasets, local!.datasets);
    assert.deepEqual(offline!.datasets, local!.datasets);
    assert.deepEqual(
      fetched!.datasets.map((dataset) => dataset.name),
      ["ChartQA", "RefCOCO"],
    );
    assert.equal(hub.fileRequests("EDIS/test-00000-of-00001.parquet").length, 0);
    assert.equal(hub.fileRequests("images.zip").length, 1);
  });

  test("a dataset that the hub does not have is told before anything is downloaded", async () => {
    const args = ["eval", "mmeb", "--data", name, "--model", CHECKPOINT, "--datasets", "VOC2007"];
    const { status, stderr } = await runCli([...args, "--out", join(root, "none")], {
      env: { HF_ENDPOINT: hub.url, HF_HOME: join(root, "empty") },
    });
    assert.equal(status, 2);
    assert.match(stderr, /VOC2007.*ChartQA/s);
  });
});
