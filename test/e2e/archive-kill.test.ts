import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { tarOf } from "../support/archives.ts";
import { filesOf, folderWith } from "../support/unpacking.ts";

const SCRIPT = `
  import { unpackArchive } from ${JSON.stringify(new URL("../../src/dataset/archive.ts", import.meta.url).href)};
  console.log("begins");
  await unpackArchive(process.argv[1], process.argv[2]);`;

function start(file: string, out: string): ChildProcess {
  const options = ["--input-type=module", "--eval", SCRIPT, file, out];
  return spawn(process.execPath, options, { stdio: ["ignore", "pipe", "inherit"] });
}

const FILES = 3000;
const FOLDERS = 100;
/** With the mark that it is complete. */
const ALL = FILES + FOLDERS + 1;

/** An archive in a folder of its own, and the place to unpack it to. */
function manyPictures(t: TestContext): { folder: string; file: string; out: string } {
  const entries = Array.from({ length: FILES }, (_, i) => ({
    name: `d${i % FOLDERS}/${i}.png`,
    content: Buffer.alloc(20_000, i),
  }));
  const folder = folderWith(t, { "a.tar": tarOf(entries) });
  return { folder, file: join(folder, "a.tar"), out: join(folder, "out") };
}

test("killed at any moment, it leaves nothing that passes for complete", async (t) => {
  const { folder, file, out } = manyPictures(t);
  let cut = 0;
  for (const delayMs of [0, 20, 50, 100, 200, 400]) {
    const child = start(file, out);
    const closed = once(child, "close");
    await once(child.stdout!, "data");
    await sleep(delayMs);
    child.kill("SIGKILL");
    await closed;
    if (existsSync(out)) assert.equal(filesOf(out).length, ALL);
    else cut += readdirSync(folder).length > 1 ? 1 : 0;
    rmSync(out, { recursive: true, force: true });
  }
  assert.ok(cut > 0, "no run was killed while it unpacked");
  await once(start(file, out), "close");
  assert.equal(filesOf(out).length, ALL);
});

test("two at once both end with everything", async (t) => {
  const { folder, file, out } = manyPictures(t);
  const ends = await Promise.all([start(file, out), start(file, out)].map((child) => once(child, "close")));
  assert.deepEqual(ends, [
    [0, null],
    [0, null],
  ]);
  assert.equal(filesOf(out).length, ALL);
  assert.deepEqual(readdirSync(folder).sort(), ["a.tar", "out"]);
});
