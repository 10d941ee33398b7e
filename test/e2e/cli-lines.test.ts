import assert from "node:assert/strict";
import { once } from "node:events";
import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { readSafetensors } from "../support/read-safetensors.ts";
import { CHECKPOINT, parseLines, runCli, startCli, temporaryFolder, type CliResult } from "../support/run-cli.ts";
import { cosine } from "../support/assert-close.ts";

const FIXTURES = fileURLToPath(new URL("../fixtures", import.meta.url));
const expected = readSafetensors(join(FIXTURES, "qwen2_5_vl", "cases.safetensors"));
const TEXT_ONLY = "Find me an everyday image that matches the given caption: a cat and a dog.\n";
const PHOTO =
  "<|vision_start|><|image_pad|><|vision_end|>\nAnswer the question based on the given image: What is in the image?\n";
const cache = temporaryFolder();
const ARGS = ["embed", "--model", CHECKPOINT, "--weights", "fp32", "--cache-dir", cache];

function embed(args: readonly string[], input = ""): Promise<CliResult> {
  return runCli([...ARGS, ...args], { input });
}

/** Writes lines to a file beside the fixtures' images and returns its path and that of an output. */
function itemsFile(...lines: readonly (string | object)[]): { input: string; output: string } {
  const folder = temporaryFolder();
  cpSync(join(FIXTURES, "images"), join(folder, "images"), { recursive: true });
  const input = join(folder, "items.jsonl");
  writeFileSync(input, lines.map((line) => `${typeof line === "string" ? line : JSON.stringify(line)}\n`).join(""));
  return { input, output: join(folder, "out.jsonl") };
}

const direct = (id: string): object => ({ id, role: "target", text: `${id}\n` });
const oldAnswer = (id: string): string => `{"id":"${id}","embedding":[1,0],"rationale":""}\n`;
const idsOf = (jsonl: string): unknown[] => parseLines(jsonl).map(({ id }) => id);

describe("a file of items", () => {
  test("good and bad lines are answered in their places, and the status says that some failed", async () => {
    const { input, output } = itemsFile(
      { id: "first", text: TEXT_ONLY },
      "this is not JSON",
      "",
      { text: "x", imgs: ["a.png"] },
      { id: "lost", images: ["images/nowhere.png"] },
      { id: "photo", images: ["images/example.jpg"], text: PHOTO, reason: false, minPixels: 3136, maxPixels: 50176 },
      { role: "target", text: TEXT_ONLY },
    );
    const { status, stdout, stderr } = await embed(["--input", input, "--output", output]);
    assert.deepEqual([status, stdout], [1, ""]);
    assert.match(stderr, /rge: 3 of 6 items failed; .*out\.jsonl say why\n$/);
    const lines = parseLines(readFileSync(output, "utf8"));
    assert.deepEqual(
      lines.map(({ id }) => id),
      ["first", 2, 4, "lost", "photo", 7],
    );
    assert.match(String(lines[1]!["error"]), /^line 2: not JSON/);
    assert.match(String(lines[2]!["error"]), /^line 4: unknown key "imgs"; the nearest is "images"/);
    assert.match(String(lines[3]!["error"]), /^line 5: .*images\/nowhere\.png: cannot be opened/);
    assert.deepEqual(Object.keys(lines[0]!), [
      "id",
      "embedding",
      "rationale",
      "rationaleTokens",
      "finish",
      "promptTokens",
    ]);
    for (const [at, name] of [
      [0, "text-only/reasoned_embedding"],
      [4, "photo/direct_embedding"],
      [5, "text-only/direct_embedding"],
    ] as const)
      assert.ok(cosine(lines[at]!["embedding"] as number[], expected.get(name)!.data as Float32Array) >= 0.99999, name);
    assert.deepEqual([lines[0]!["finish"], lines[5]!["finish"], lines[4]!["promptTokens"]], ["emb", "direct", 100]);
  });

  test("stdin and stdout are called -, and options hold for lines that are silent", async () => {
    const { status, stdout, stderr } = await embed(
      ["--input", "-", "--role", "target"],
      '{"text":"a"}\n{"id":"b","text":"b"}',
    );
    assert.equal(status, 0, stderr);
    assert.deepEqual(
      parseLines(stdout).map(({ id, finish }) => [id, finish]),
      [
        [1, "direct"],
        ["b", "direct"],
      ],
    );
    assert.match(stderr, /^rge: 2 items in /);
    const quiet = await embed(["--input", "-", "--quiet"], "{}\n");
    assert.deepEqual([quiet.status, quiet.stderr.includes("items failed")], [1, true]);
  });

  test("a pipe that stays open is answered line by line", async () => {
    const child = startCli([...ARGS, "--input", "-"]);
    const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    for (const id of ["a", "b"]) {
      child.stdin.write(`${JSON.stringify(direct(id))}\n`);
      const { value } = await answers.next();
      assert.equal((JSON.parse(value as string) as { id: string }).id, id);
    }
    const closed = once(child, "close");
    child.stdin.end();
    const [status] = await closed;
    assert.equal(status, 0);
  });

  test("--fail-fast stops at the first item that fails", async () => {
    const { input } = itemsFile(direct("a"), "{", direct("b"));
    const { status, stdout, stderr } = await embed(["--input", input, "--fail-fast"]);
    assert.equal(status, 1);
    assert.deepEqual(idsOf(stdout), ["a", 2]);
    assert.match(stderr, /rge: line 2: not JSON.*--fail-fast/);
  });

  test("--json keeps stderr to one JSON object, --quiet to errors", async () => {
    const { input } = itemsFile(direct("a"), "{");
    const machine = await embed(["--input", input, "--json"]);
    assert.equal((JSON.parse(machine.stderr) as { error: { exitStatus: number } }).error.exitStatus, 1);
    const quiet = await embed(["--input", itemsFile(direct("a")).input, "--quiet"]);
    assert.deepEqual([quiet.status, quiet.stderr], [0, ""]);
  });
});

describe("an output that is there", () => {
  test("is refused, replaced with --force, and an empty one is just used", async () => {
    const { input, output } = itemsFile(direct("a"));
    writeFileSync(output, "precious\n");
    const refused = await embed(["--input", input, "--output", output]);
    assert.equal(refused.status, 2);
    assert.match(refused.stderr, /out\.jsonl is there already: --resume .*--force/);
    assert.equal(readFileSync(output, "utf8"), "precious\n");
    assert.equal((await embed(["--input", input, "--output", output, "--force"])).status, 0);
    assert.deepEqual(idsOf(readFileSync(output, "utf8")), ["a"]);
    writeFileSync(output, "");
    assert.equal((await embed(["--input", input, "--output", output])).status, 0);
  });

  test("is resumed after its last complete line, and comes out as if in one go", async () => {
    const { input, output } = itemsFile(direct("a"), "", "{", direct("b"), direct("c"));
    assert.equal((await embed(["--input", input, "--output", output])).status, 1);
    const whole = readFileSync(output, "utf8");
    const lines = whole.split("\n");
    // Marked, so that a line that is embedded anew would show.
    const kept = `${lines[0]!.replace('"finish":"direct"', '"finish":"marked"')}\n${lines[1]}\n`;
    writeFileSync(output, kept + lines[2]!.slice(0, 100));
    const resumed = await embed(["--input", input, "--output", output, "--resume"]);
    assert.equal(resumed.status, 1, "the failure of the first run still counts");
    assert.match(resumed.stderr, /1 of 4 items failed/);
    assert.equal(readFileSync(output, "utf8"), kept + lines.slice(2).join("\n"));
  });

  test("that answers other items, or has embeddings of another length, is not resumed", async () => {
    const { input, output } = itemsFile(direct("a"), direct("b"));
    const resume = ["--input", input, "--output", output, "--resume"];
    for (const [content, message] of [
      [oldAnswer("z"), /line 1 is the answer to "z", expected "a"/],
      [oldAnswer("a") + oldAnswer("b") + oldAnswer("c"), /line 3 is the answer to "c", and the input has ended/],
      ["notes\n", /line 1 is no answer of this program/],
      [oldAnswer("a"), /its embeddings have 2 numbers, this model gives 64/],
    ] as const) {
      writeFileSync(output, content);
      const { status, stderr } = await embed(resume);
      assert.equal(status, 2);
      assert.match(stderr, message);
      assert.equal(readFileSync(output, "utf8"), content);
    }
  });

  test("is not made where the input is not there, and is never the input", async () => {
    const { input, output } = itemsFile(direct("a"));
    const absent = await embed(["--input", `${input}.x`, "--output", output]);
    assert.equal(absent.status, 2);
    assert.match(absent.stderr, /--input .*ENOENT/);
    assert.equal(existsSync(output), false);
    const same = await embed(["--input", input, "--output", input, "--force"]);
    assert.deepEqual([same.status, readFileSync(input, "utf8").length > 0], [2, true]);
  });
});

describe("a run that is stopped", { timeout: 60_000 }, () => {
  test("by Ctrl-C keeps what is answered, says so, and ends with 130", async () => {
    const { output } = itemsFile();
    const child = startCli([...ARGS, "--input", "-", "--output", output]);
    const stderr = text(child.stderr);
    child.stdin.write(`${JSON.stringify(direct("a"))}\n`);
    const closed = once(child, "close");
    while (!(existsSync(output) && readFileSync(output, "utf8").includes("\n"))) await sleep(20);
    child.kill("SIGINT");
    const [status] = await closed;
    assert.equal(status, 130);
    assert.deepEqual(idsOf(readFileSync(output, "utf8")), ["a"]);
    assert.match(await stderr, /stopped after 1 items; --resume goes on from there/);
  });

  test("by Ctrl-C in the middle of its work ends soon, and by a second one at once", async () => {
    const busy = { text: "long", maxNewTokens: 2000 };
    const { input, output } = itemsFile(...Array.from({ length: 400 }, (_, id) => ({ ...busy, id })));
    for (const signals of [1, 2]) {
      const child = startCli([...ARGS, "--input", input, "--output", output, "--force"]);
      const stderr = text(child.stderr);
      const closed = once(child, "close");
      // The output is opened just before the model is loaded.
      while (!existsSync(output)) await sleep(20);
      await sleep(800);
      child.kill("SIGINT");
      if (signals === 2) {
        await sleep(5);
        child.kill("SIGINT");
      }
      const sentMs = performance.now();
      const [status] = await closed;
      assert.equal(status, 130, await stderr);
      assert.match(await stderr, /stopping; once more stops at once/);
      const limitMs = signals === 2 ? 500 : 5000;
      assert.ok(performance.now() - sentMs < limitMs, `took ${performance.now() - sentMs} ms`);
      rmSync(output);
    }
  });

  test("by a reader that went away ends quietly", async () => {
    const { input } = itemsFile(...Array.from({ length: 200 }, (_, i) => direct(String(i))));
    const child = startCli([...ARGS, "--input", input]);
    const stderr = text(child.stderr);
    const closed = once(child, "close");
    await once(child.stdout, "data");
    child.stdout.destroy();
    const [status] = await closed;
    assert.deepEqual([status, await stderr], [141, ""]);
  });
});
