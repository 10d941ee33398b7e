/** `rge train` from a file of settings to a finished model, stopped, killed and fed with bad rows on the way. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { appendFileSync, copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { before, test } from "node:test";
import { readLog, type LogRecord, type StepRecord } from "../../src/train/log.ts";
import { seededRandom } from "../../src/random.ts";
import { loadEmbedder } from "../support/fixtures.ts";
import { CHECKPOINT, runCli, startCli, temporaryFolder } from "../support/run-cli.ts";
import { writeToySet } from "../support/toy-set.ts";

const toySet = temporaryFolder();

before(async () => {
  await writeToySet(toySet, { train: 640, valid: 64 });
});

const SETTINGS = {
  model: CHECKPOINT,
  data: [{ name: "toy", path: "train.jsonl" }],
  validation: [{ name: "held-out", path: "valid.jsonl" }],
  steps: 12,
  batchSize: 16,
  learningRate: 3e-3,
  temperature: 0.05,
  maxNewTokens: 16,
  clipNorm: 1,
  minPixels: 3136,
  maxPixels: 3136,
  validateEvery: 6,
  saveEvery: 4,
};

/** Writes a file of settings beside the toy set and returns the command that trains with it, and its output folder. */
function runWith(name: string, changes: object = {}): { args: string[]; output: string } {
  const config = join(toySet, `${name}.json`);
  const output = join(toySet, `run-${name}`);
  writeFileSync(config, JSON.stringify({ ...SETTINGS, output, ...changes }));
  return { args: ["train", config], output };
}

async function trained(
  name: string,
  changes: object = {},
): Promise<{ output: string; log: LogRecord[]; stderr: string }> {
  const { args, output } = runWith(name, changes);
  const { status, stderr } = await runCli(args);
  assert.equal(status, 0, stderr);
  return { output, log: readLog(join(output, "log.jsonl")), stderr };
}

const meanOf = (records: readonly StepRecord[], key: "lm" | "contrastive" | "hits"): number =>
  records.reduce((sum, record) => sum + record[key]!, 0) / records.length;

const stepsOf = (log: readonly LogRecord[]): StepRecord[] => log.filter((record) => record.type === "step");

/** What a log tells of its steps, but for times. */
const numbersOf = (log: readonly LogRecord[]): unknown[] =>
  stepsOf(log).map(({ step, loss, gradNorm }) => [step, loss, gradNorm]);

/** Every file of the finished model and of the last checkpoint, but for what names a time or a folder. */
function digests(output: string): Record<string, string> {
  const checkpoint = readdirSync(join(output, "checkpoints")).sort().at(-1)!;
  return Object.fromEntries(
    [join(output, "model"), join(output, "checkpoints", checkpoint)].flatMap((folder) =>
      readdirSync(folder).map((name) => [
        `${folder.slice(output.length)}/${name}`,
        createHash("sha256")
          .update(readFileSync(join(folder, name)))
          .digest("hex"),
      ]),
    ),
  );
}

test("a run killed at random moments and resumed ends with the weights of the uncut run", async () => {
  const whole = await trained("uncut");
  const { args, output } = runWith("cut");
  const random = seededRandom(Date.now());
  let [kills, resumed] = [0, false];
  for (let attempt = 0; attempt < 12; attempt++) {
    const child = startCli([...args, ...(resumed ? ["--resume"] : [])]);
    const exited = once(child, "exit");
    // Loading takes about a second; a run of twelve steps some three.
    const timer = setTimeout(600 + 2500 * random(), "kill");
    const first = await Promise.race([timer, exited.then(() => "exit")]);
    if (first === "kill") {
      kills++;
      child.kill("SIGKILL");
      await exited;
    } else {
      assert.equal(child.exitCode, 0);
      break;
    }
    resumed = true;
    if (kills === 5) {
      const { status, stderr } = await runCli([...args, "--resume"]);
      assert.equal(status, 0, stderr);
      break;
    }
  }
  assert.deepEqual(digests(output), digests(whole.output));
  assert.deepEqual(numbersOf(readLog(join(output, "log.jsonl"))), numbersOf(whole.log));
});

test("LoRA with dropout, an average and accumulated chunks go on bit for bit too", async () => {
  for (const [name, changes] of [
    ["lora", { lora: { rank: 4, alpha: 8, dropout: 0.2 }, chunkSize: 7, mode: "direct" }],
    ["ema", { ema: 0.9, accumulate: 2, steps: 6, saveEvery: 3, samplingTemperature: 0.7 }],
  ] as const) {
    const whole = await trained(`${name}-uncut`, changes);
    const { args, output } = runWith(`${name}-cut`, changes);
    const child = startCli(args);
    const exited = once(child, "exit");
    const checkpoints = join(output, "checkpoints");
    while (
      child.exitCode === null &&
      !(existsSync(checkpoints) && readdirSync(checkpoints).some((it) => it.startsWith("step")))
    )
      await setTimeout(20);
    child.kill("SIGKILL");
    await exited;
    const { status, stderr } = await runCli([...args, "--resume"]);
    assert.equal(status, 0, stderr);
    assert.deepEqual(digests(output), digests(whole.output), name);
  }
});

for (const seed of [0, 1, 2])
  test(`both losses fall and retrieval rises on a toy set, seed ${seed}`, async () => {
    const { log, output } = await trained(`learns-${seed}`, {
      steps: 250,
      // Sorted by length, a batch would hold few different answers and make retrieval easy.
      bucketBatches: 1,
      validateEvery: 25,
      saveEvery: 1000,
      seed,
    });
    const steps = stepsOf(log);
    const [early, late] = [steps.slice(0, 10), steps.slice(-10)];
    const [lm, contrastive, hits] = (["lm", "contrastive", "hits"] as const).map((key) => ({
      early: meanOf(early, key),
      late: meanOf(late, key),
    }));
    assert.ok(lm!.late < 0.05 * lm!.early, `lm ${JSON.stringify(lm)}`);
    assert.ok(contrastive!.late < 0.6 * contrastive!.early, `contrastive ${JSON.stringify(contrastive)}`);
    assert.ok(hits!.late > hits!.early + 0.25, `hits ${JSON.stringify(hits)}`);
    const validations = log.filter((record) => record.type === "validation");
    const [first, last] = [validations[0]!, validations.at(-1)!];
    // The first is that of the untrained model; 64 queries tell a share to some six points, so three rounds are taken.
    assert.equal(first.step, 0);
    const p1 = validations.slice(-3).reduce((sum, record) => sum + record.p1!, 0) / 3;
    assert.ok(p1 > first.p1! + 0.2, `P@1 ${first.p1} -> ${p1}`);
    assert.ok(last.lm! < 0.05 * first.lm!, `validation lm ${first.lm} -> ${last.lm}`);
    if (seed > 0) return;
    // The finished model is a checkpoint like any other, and writes rationales.
    await using embedder = await loadEmbedder(join(output, "model"));
    const [result] = await embedder.embed([
      {
        text: "<|image_1|>\nWhat is the upper half?\n",
        images: [join(toySet, "images", "valid-0.png")],
        minPixels: 3136,
        maxPixels: 3136,
        reason: { maxNewTokens: 16 },
      },
    ]);
    assert.match(result!.rationale, /half is/);
  });

test("rows that cannot be used are told with file and number, and the run goes on without them", async () => {
  const folder = temporaryFolder();
  mkdirSync(join(folder, "images"));
  const rows = readFileSync(join(toySet, "train.jsonl"), "utf8").split("\n").slice(0, 20);
  for (const name of readdirSync(join(toySet, "images")).filter((it) => it.startsWith("train-")))
    copyFileSync(join(toySet, "images", name), join(folder, "images", name));
  // A picture that is there and is none: found out when its turn comes.
  writeFileSync(join(folder, "images", "train-3.png"), "not a picture");
  writeFileSync(join(folder, "train.jsonl"), `${rows.join("\n")}\nnot json\n`);
  appendFileSync(join(folder, "train.jsonl"), '{"qry": "q", "pos_text": "t", "qry_image_path": "images/absent.png"}\n');
  const { log, stderr } = await trained("bad-rows", {
    data: [{ name: "bad", path: join(folder, "train.jsonl") }],
    validation: [],
    steps: 4,
  });
  assert.match(stderr, /row 21: /);
  assert.match(stderr, /row 22: .*absent\.png/);
  assert.match(stderr, /bad: 2 of 22 rows cannot be used/);
  const problems = log.filter((record) => record.type === "problem");
  assert.ok(
    problems.length > 0 && problems.every(({ place }) => place === "train.jsonl, row 4"),
    JSON.stringify(problems),
  );
  assert.ok(stepsOf(log).some(({ pairs }) => pairs === 15));
  assert.equal(log.find((record) => record.type === "start")!.datasets[0]!.problems, 2);
});

test("numbers that are not finite stop the run with the batch named, and nothing is updated with them", async () => {
  // Cosines over such a temperature are infinite in float32.
  const { args, output } = runWith("diverges", { temperature: 1e-40 });
  const { status, stderr } = await runCli(args);
  assert.equal(status, 4, stderr);
  assert.match(
    stderr,
    /step \d+: the .* is (NaN|-?Infinity), in the batch of train\.jsonl, row \d+; .*Nothing was updated/,
  );
  assert.deepEqual(stepsOf(readLog(join(output, "log.jsonl"))), []);
});

test("Ctrl-C ends the run after its step with a checkpoint, and --resume finishes it", async () => {
  const { args, output } = runWith("interrupted", { steps: 40, saveEvery: 1000, validateEvery: 1000 });
  const child = startCli(args);
  const exited = once(child, "exit");
  const log = join(output, "log.jsonl");
  while (!(existsSync(log) && readFileSync(log, "utf8").includes('"type":"step"'))) await setTimeout(20);
  child.kill("SIGINT");
  const [status] = (await exited) as [number];
  assert.equal(status, 130);
  const [name] = readdirSync(join(output, "checkpoints"));
  assert.equal(Number(name!.slice(5)), stepsOf(readLog(log)).at(-1)!.step);
  assert.ok(!existsSync(join(output, "model")));
  const { status: resumed, stdout } = await runCli([...args, "--resume", "--json"]);
  assert.equal(resumed, 0);
  assert.deepEqual(JSON.parse(stdout).step, 40);
});

test("flags override the file; what does not fit is refused with what to do", async () => {
  const { args, output } = runWith("flags", { steps: 2, validation: [] });
  const first = await runCli([
    ...args,
    "--mode",
    "direct",
    "--emb-weight",
    "0.5",
    "--steps",
    "1",
    "--save-as",
    "float16",
  ]);
  assert.equal(first.status, 0, first.stderr);
  const log = readLog(join(output, "log.jsonl"));
  const [step] = stepsOf(log);
  assert.equal(step!.endedShare, null);
  assert.ok(Math.abs(step!.loss - (step!.lm! + 0.5 * step!.contrastive!)) < 1e-6);
  assert.match(readFileSync(join(output, "model", "config.json"), "utf8"), /"dtype": "float16"/);
  assert.match(readFileSync(join(output, "report.html"), "utf8"), /LM loss per rationale token/);
  for (const [extra, pattern] of [
    [[], /holds a run already: --resume goes on with it, --force replaces it/],
    [["--resume"], /made with other settings \(mode, embWeight, steps\)/],
    [["--resume", "--force"], /both given/],
    [["--learning-rate", "fast"], /learning-rate/],
    [["--bogus"], /there is no option/],
  ] as const) {
    const { status, stderr } = await runCli([...args, ...extra]);
    assert.notEqual(status, 0);
    assert.match(stderr, pattern);
  }
  const lost = await runCli(["train", join(toySet, "absent.json")]);
  assert.equal(lost.status, 2);
  assert.match(lost.stderr, /absent\.json/);
  const { args: few } = runWith("few", { data: [{ name: "few", path: "train.jsonl", limit: 5 }] });
  const short = await runCli(few);
  assert.equal(short.status, 2);
  assert.match(short.stderr, /few: 5 rows are too few for batches of 16/);
});

test("the LM term alone trains without targets, and needs rationales", async () => {
  const { log } = await trained("lm-only", { embWeight: 0, steps: 3 });
  for (const { contrastive, hits } of stepsOf(log)) assert.deepEqual([contrastive, hits], [null, null]);
});
