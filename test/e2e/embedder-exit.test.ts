/** Ending a process or a load in the middle of a native call: onnxruntime-node aborts the process where it is ended there. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { test } from "node:test";
import { checkpointOf, temporaryFolder } from "../support/fixtures.ts";

const INDEX = new URL("../../src/index.ts", import.meta.url).href;

/** Runs a module in a process of its own, with `Embedder` and `load(options)` in scope. */
async function run(cacheDir: string, code: string): Promise<{ exitCode: number | null; output: string }> {
  const prelude = `
    import { setTimeout as delay } from "node:timers/promises";
    import { Embedder } from ${JSON.stringify(INDEX)};
    const load = (options) => Embedder.load(${JSON.stringify(checkpointOf("qwen2_5_vl"))}, {
      weights: "fp32", threads: 1, cacheDir: ${JSON.stringify(cacheDir)}, ...options });
    const LONG = { text: "cat 1", reason: { maxNewTokens: 3900, repetitionPenalty: 1 } };
  `;
  const child = spawn(process.execPath, ["--input-type=module", "-e", prelude + code]);
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (text: Buffer) => (output += text.toString()));
  const exitCode = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { exitCode, output };
}

test("a process that exits while a rationale is written exits with its own code", async (t) => {
  const cacheDir = temporaryFolder(t);
  for (const delayMs of [20, 57, 111]) {
    const { exitCode, output } = await run(
      cacheDir,
      `const embedder = await load();
       embedder.embed([LONG, LONG]).catch(() => {});
       await delay(${delayMs});
       process.exit(7);`,
    );
    assert.deepEqual({ exitCode, output }, { exitCode: 7, output: "" });
  }
});

test("an error that nobody caught ends the process as it would without an Embedder", async (t) => {
  const { exitCode, output } = await run(
    temporaryFolder(t),
    `const embedder = await load();
     embedder.embed([LONG]).catch(() => {});
     await delay(50);
     throw new Error("uncaught here");`,
  );
  assert.equal(exitCode, 1, output);
  assert.match(output, /uncaught here/);
  assert.doesNotMatch(output, /terminate called/);
});

test("a load can be aborted at any moment, again and again", async (t) => {
  const { exitCode, output } = await run(
    temporaryFolder(t),
    `const startedMs = performance.now();
     await (await load())[Symbol.asyncDispose]();
     const wholeMs = performance.now() - startedMs;
     for (let i = 1; i <= 20; i++) {
       const controller = new AbortController();
       const loading = load({ signal: controller.signal }).then(() => "loaded", (error) => error.name);
       await delay((wholeMs * i) / 20);
       controller.abort();
       const end = await loading;
       if (end !== "AbortError" && end !== "loaded") throw new Error(end);
       if (end === "loaded") break;
     }
     process.exit(0);`,
  );
  assert.deepEqual({ exitCode, output }, { exitCode: 0, output: "" });
});
