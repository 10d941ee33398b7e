import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { readSafetensors } from "../support/read-safetensors.ts";
import { CHECKPOINT, parseLines, runCli, temporaryFolder, type CliResult } from "../support/run-cli.ts";
import { cosine } from "../support/assert-close.ts";
import { casesOf, referenceOf, type FixtureCase } from "../support/fixtures.ts";

const FIXTURES = fileURLToPath(new URL("../fixtures", import.meta.url));
const LORA = join(FIXTURES, "qwen2_5_vl", "lora");
const cache = temporaryFolder();

const cases = casesOf("qwen2_5_vl");

function caseNamed(name: string): FixtureCase {
  return cases.find((it) => it.name === name) ?? assert.fail(`no case ${name}`);
}

const expected = referenceOf("qwen2_5_vl");

function reference(name: string, kind: "reasoned_embedding" | "direct_embedding"): ArrayLike<number> {
  return expected(name, kind).data as Float32Array;
}

/** The options of a fixture's case, but for its budget. */
function optionsFor({ text, images, min_pixels: min, max_pixels: max }: FixtureCase): string[] {
  const paths = images.flatMap((image) => ["--image", join(FIXTURES, image)]);
  return ["--text", text, ...paths, "--min-pixels", String(min), "--max-pixels", String(max)];
}

/** Runs `embed` in float32 with the tests' own cache. */
function embed(...args: string[]): Promise<CliResult> {
  return runCli(["embed", "--model", CHECKPOINT, "--weights", "fp32", "--cache-dir", cache, ...args]);
}

interface Answered {
  readonly embedding: readonly number[];
  readonly rationale: string;
  readonly rationaleTokens: number;
  readonly finish: string;
  readonly promptTokens: number;
}

/** The answer to one item, as `--json` prints it. */
async function answer(...args: string[]): Promise<Answered> {
  const { status, stdout, stderr } = await embed("--json", ...args);
  assert.equal(status, 0, stderr);
  assert.equal(stderr, "");
  const lines = parseLines(stdout);
  assert.equal(lines.length, 1);
  return lines[0] as unknown as Answered;
}

function assertNear(actual: ArrayLike<number>, wanted: ArrayLike<number>): void {
  const near = cosine(actual, wanted);
  assert.ok(near >= 0.99999, `cosine ${near}`);
}

function assertFar(actual: ArrayLike<number>, other: ArrayLike<number>): void {
  const near = cosine(actual, other);
  assert.ok(near < 0.9999, `cosine ${near}: the option changed nothing`);
}

describe("one item", () => {
  for (const name of ["text-only", "tall-strip", "two-images"])
    test(`${name} comes out as the reference has it, reasoned and direct`, async () => {
      const it = caseNamed(name);
      const reasoned = await answer(...optionsFor(it), "--max-new-tokens", String(it.max_new_tokens));
      assertNear(reasoned.embedding, reference(name, "reasoned_embedding"));
      assert.equal(reasoned.rationaleTokens, it.rationale_ids.length);
      assert.equal(reasoned.finish, "emb");
      assert.equal(reasoned.promptTokens, it.input_ids.length);
      const direct = await answer(...optionsFor(it), "--no-reason");
      assertNear(direct.embedding, reference(name, "direct_embedding"));
      assert.deepEqual([direct.finish, direct.rationale, direct.rationaleTokens], ["direct", "", 0]);
    });

  test("people read the rationale, how it ended, tokens, the first numbers and the time", async () => {
    const it = caseNamed("unicode");
    const { status, stdout } = await embed(...optionsFor(it), "--max-new-tokens", "32");
    assert.equal(status, 0);
    assert.match(stdout, /^rationale {3}\S/);
    assert.match(stdout, /\nfinish {6}budget, it was cut off/);
    assert.match(stdout, /\ntokens {6}113 prompt, 32 rationale\n/);
    const [first] = Array.from(reference("unicode", "reasoned_embedding"), (value) => value.toFixed(4));
    assert.ok(stdout.includes(`embedding   [${first}, `), stdout);
    assert.match(stdout, /, \.\.\.\] {2}64 numbers, norm 1\.0000\n/);
    assert.match(stdout, /\ntime {8}.*prepare .*vision .*prefill .*decode .*\n$/);
  });

  test("an image that is missing ends with status 1 and a message, as JSON where that is asked for", async () => {
    const { status, stdout, stderr } = await embed("--image", "nowhere.png");
    assert.deepEqual([status, stdout], [1, ""]);
    assert.match(stderr, /^rge: nowhere\.png: cannot be opened/m);
    const machine = await embed("--image", "nowhere.png", "--json");
    const { error } = JSON.parse(machine.stderr) as { error: Record<string, unknown> };
    assert.deepEqual([machine.status, error["name"], error["exitStatus"]], [1, "ImageError", 1]);
  });
});

function directOf(name: string): ArrayLike<number> {
  return reference(name, "direct_embedding");
}

describe("each option changes the result", () => {
  const strip = optionsFor(caseNamed("tall-strip"));
  const unicode = optionsFor(caseNamed("unicode"));

  test("--role, and --reason against it", async () => {
    const target = await answer(...strip, "--role", "target");
    assert.equal(target.finish, "direct");
    assertNear(target.embedding, directOf("tall-strip"));
    const reasoned = await answer(...strip, "--role", "target", "--reason", "--max-new-tokens", "32");
    assertNear(reasoned.embedding, reference("tall-strip", "reasoned_embedding"));
  });

  test("--max-new-tokens and --on-budget", async () => {
    const pooled = await answer(...unicode, "--max-new-tokens", "5");
    const forced = await answer(...unicode, "--max-new-tokens", "5", "--on-budget", "force-emb");
    assert.deepEqual([pooled.rationaleTokens, pooled.finish], [5, "budget"]);
    assert.equal(forced.rationale, pooled.rationale);
    assertFar(forced.embedding, pooled.embedding);
  });

  test("--repetition-penalty, --temperature, --seed and --top-p", async () => {
    const budget = [...unicode, "--max-new-tokens", "12"];
    const rationale = async (...args: string[]): Promise<string> => (await answer(...budget, ...args)).rationale;
    const greedy = await rationale();
    assert.notEqual(await rationale("--repetition-penalty", "5"), greedy);
    const drawn = await rationale("--temperature", "3");
    assert.notEqual(drawn, greedy);
    assert.notEqual(await rationale("--temperature", "3", "--seed", "1"), drawn);
    assert.equal(await rationale("--temperature", "3", "--top-p", "0.0001"), greedy);
  });

  test("--min-pixels, --max-pixels", async () => {
    const image = ["--image", join(FIXTURES, "images", "grey.png"), "--no-reason"];
    const small = await answer(...image, "--min-pixels", "3136", "--max-pixels", "6272");
    const large = await answer(...image, "--min-pixels", "50176", "--max-pixels", "100352");
    assert.ok(small.promptTokens < large.promptTokens);
  });

  test("--instruction stands on a line before --text", async () => {
    const parts = await answer("--instruction", "Find this.", "--text", "a dog\n", "--no-reason");
    const whole = await answer("--text", "Find this.\na dog\n", "--no-reason");
    assert.deepEqual(parts.embedding, whole.embedding);
    assertFar((await answer("--text", "a dog\n", "--no-reason")).embedding, whole.embedding);
  });

  test("--adapter is merged in", async () => {
    const adapted = await answer(...optionsFor(caseNamed("photo")), "--no-reason", "--adapter", LORA);
    const wanted = readSafetensors(join(LORA, "expected.safetensors")).get("direct_embedding")!.data as Float32Array;
    assertNear(adapted.embedding, wanted);
    assertFar(adapted.embedding, directOf("photo"));
  });

  test("--closing-prompt turns the training-free mode on", async () => {
    const closed = await answer(...strip, "--no-reason", "--closing-prompt", "\nIn one word:");
    assertFar(closed.embedding, directOf("tall-strip"));
  });

  test("--weights and --cache-dir: each setting compiles its own graphs, where they are asked for", async () => {
    const folder = temporaryFolder();
    for (const [weights, graph] of [
      ["int8", "decoder-rows8"],
      ["int4", "decoder-blocks4"],
    ] as const) {
      const args = ["--model", CHECKPOINT, "--weights", weights, "--cache-dir", folder, "--json", ...strip];
      const { status, stdout, stderr } = await runCli(["embed", ...args, "--no-reason"]);
      assert.equal(status, 0, stderr);
      const [line] = parseLines(stdout);
      const near = cosine(line!["embedding"] as number[], directOf("tall-strip"));
      assert.ok(near > 0.9 && near < 0.999999, `cosine ${near}`);
      assert.ok(readdirSync(folder).some((name) => name.startsWith(graph)));
    }
  });

  test("RGE_CACHE is the folder of compiled graphs without --cache-dir", async () => {
    const folder = temporaryFolder();
    const args = ["embed", "--model", CHECKPOINT, "--text", "x", "--no-reason", "--json"];
    const { status } = await runCli(args, { env: { RGE_CACHE: folder } });
    assert.equal(status, 0);
    assert.ok(readdirSync(folder).length > 0);
  });

  test("--batch and --threads reach the library, which has the last word", async () => {
    const { status, stderr } = await embed("--text", "x", "--batch", "100000");
    assert.equal(status, 2);
    assert.match(stderr, /batch is a whole number from 1 to 256/);
    assertNear(
      (await answer(...strip, "--no-reason", "--batch", "1", "--threads", "1")).embedding,
      directOf("tall-strip"),
    );
  });
});
