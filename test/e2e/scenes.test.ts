import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync, globSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { readEvalTask } from "../../src/dataset/eval-rows.ts";
import { readTrainRows } from "../../src/dataset/train-rows.ts";
import { SCENE_DATASETS } from "../../src/scenes/datasets.ts";
import { CHECKPOINT, runCli, startCli, temporaryFolder } from "../support/run-cli.ts";

/** Path and hash of every file. */
function contentsOf(folder: string): string[] {
  const files = globSync("**/*", { cwd: folder, withFileTypes: true }).filter((entry) => entry.isFile());
  return files
    .map(({ parentPath, name }) => join(parentPath, name))
    .sort()
    .map((file) => `${file.slice(folder.length)} ${createHash("sha256").update(readFileSync(file)).digest("hex")}`);
}

function hashesOf(folder: string): string[] {
  return contentsOf(folder).map((line) => line.split(" ").at(-1)!);
}

describe("rge scenes", () => {
  const root = temporaryFolder();
  const first = join(root, "first");
  const asked = ["--train", "24", "--eval", "12", "--seed", "5", "--preview"];

  test("writes what training and evaluation read, each dataset in full", async () => {
    const { status, stdout } = await runCli(["scenes", "--out", first, ...asked, "--json"]);
    assert.equal(status, 0);
    const counts = JSON.parse(stdout) as { trainRows: number; evalRows: number; pictures: number };
    assert.deepEqual([counts.trainRows, counts.evalRows], [17 * 24, 28 * 12]);
    assert.equal(globSync("images/**/*.png", { cwd: first }).length, counts.pictures);
    for (const { name, ood, labels } of SCENE_DATASETS) {
      const { queries } = await readEvalTask(join(first, "eval", name), { imageRoots: [first] });
      assert.equal(queries.length, 12);
      // Twelve rows do not always have enough different golds for twenty.
      assert.ok(
        queries.every(({ candidates }) => candidates!.length >= (labels?.length ?? 10)),
        name,
      );
      assert.ok(queries.every(({ rationale }) => rationale !== undefined));
      const file = join(first, "train", `${name}.jsonl`);
      assert.equal(existsSync(file), !ood);
      if (ood) continue;
      const trained = await readTrainRows(file, { imageRoot: first });
      assert.deepEqual([trained.rows.length, trained.problems.length], [24, 0]);
    }
    const page = readFileSync(join(first, "preview.html"), "utf8");
    for (const [, image] of page.matchAll(/<img src="([^"]+)"/g)) assert.ok(existsSync(join(first, image!)), image);
  });

  test("no picture of evaluation has the bytes of one of training", () => {
    const trained = new Set(hashesOf(join(first, "images/train")));
    assert.deepEqual(
      hashesOf(join(first, "images/eval")).filter((hash) => trained.has(hash)),
      [],
    );
  });

  test("the same options give the same files", async () => {
    const second = join(root, "second");
    assert.equal((await runCli(["scenes", "--out", second, ...asked])).status, 0);
    assert.deepEqual(contentsOf(second), contentsOf(first));
  });

  test("replaces a folder only where that is asked for, and only one of its own", async () => {
    const refused = await runCli(["scenes", "--out", first, "--train", "1", "--eval", "0"]);
    assert.equal(refused.status, 2);
    assert.match(refused.stderr, /first is there and not empty\. --force replaces it\./);
    const other = join(root, "other");
    mkdirSync(other);
    writeFileSync(join(other, "thesis.txt"), "years of work");
    const kept = await runCli(["scenes", "--out", other, "--train", "1", "--eval", "0", "--force"]);
    assert.equal(kept.status, 2);
    assert.match(kept.stderr, /holds something else than Scenes/);
    assert.deepEqual(readdirSync(other), ["thesis.txt"]);
    assert.equal((await runCli(["scenes", "--out", first, "--train", "1", "--eval", "0", "--force"])).status, 0);
    assert.equal(existsSync(join(first, "eval")), false);
  });

  test("leaves nothing behind when it is interrupted", async () => {
    const out = join(root, "cut");
    const running = startCli(["scenes", "--out", out, "--train", "5000"]);
    while (!readdirSync(root).some((name) => name.startsWith("cut.partial")))
      await new Promise((go) => setTimeout(go, 20));
    running.kill("SIGINT");
    const [status] = (await once(running, "close")) as [number | null];
    assert.equal(status, 130);
    assert.deepEqual(
      readdirSync(root).filter((name) => name.startsWith("cut")),
      [],
    );
  });

  test("options that make no sense are refused", async () => {
    for (const wrong of [
      ["scenes"],
      ["scenes", "--out", "x", "--train", "0", "--eval", "0"],
      ["scenes", "--out", "x", "--train", "1.5"],
      ["scenes", "--out", "x", "--seed", "-1"],
      ["scenes", "x"],
      ["eval", "--data", root, "--model", CHECKPOINT],
      ["eval", "--data", first, "--model", CHECKPOINT, "--budgets", "eight"],
      ["eval", "--data", first, "--model", CHECKPOINT, "--datasets", "Nothing"],
    ])
      assert.equal((await runCli(wrong)).status, 2, wrong.join(" "));
  });

  test("rge eval tells a row that cannot be read", async () => {
    const folder = join(root, "eval-damaged");
    assert.equal((await runCli(["scenes", "--out", folder, "--train", "0", "--eval", "2"])).status, 0);
    rmSync(join(folder, "images"), { recursive: true });
    const { status, stderr } = await runCli(["eval", "--data", folder, "--model", CHECKPOINT]);
    assert.equal(status, 2);
    assert.match(stderr, /Background.*row 1: qry_img_path: there is no file/);
  });
});
