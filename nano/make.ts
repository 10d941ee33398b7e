/**
 * Trains nano from nothing and writes models/nano: pictures, tokenizer, random weights, three stages of `rge train`, the
 * evaluation. What is there already is not made again, and a stage that was stopped goes on, so the command can be
 * repeated until it ends.
 *
 *   npm run nano
 *   npm run nano -- --work DIR    somewhere else than nano/work
 */
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { TEMPLATE_TEXTS, writeInitial } from "./initial.ts";
import { trainTokenizer } from "./tokenizer.ts";

const HERE = import.meta.dirname;
const ROOT = dirname(HERE);
const SHIPPED = join(ROOT, "models/nano");
export const SCENES = { train: 12_000, eval: 500, seed: 1 };
/** Rows of each dataset whose words the tokenizer learns, and how often a word must occur to be one token. */
const TOKENIZER = { rows: 4000, leastCount: 20 };
/** Weight of template texts among them: they stand in every prompt. */
const TEMPLATE_COUNT = 1000;
const WEIGHTS_SEED = 0;

/** Runs `rge`; ends the program with its status where that is not 0. */
export function rge(args: readonly string[]): void {
  console.error(`$ rge ${args.join(" ")}`);
  const { status, signal } = spawnSync(process.execPath, [join(ROOT, "src/cli/main.ts"), ...args], {
    stdio: "inherit",
  });
  if (status !== 0) process.exit(status ?? (signal === "SIGINT" ? 130 : 1));
}

/**
 * Trains by a file of settings beside this one, unless that was done.
 * @param flags override the file's settings
 * @returns the finished model's folder
 */
export function stage(work: string, settings: string, name: string, flags: readonly string[] = []): string {
  const output = join(work, name);
  const model = join(output, "model");
  if (existsSync(model)) return model;
  rge(["train", settingsIn(work, settings), "--output", output, "--resume", ...flags]);
  return model;
}

/** The stages before contrast, which every arm of the ablation shares: seeing and speaking, then more of what that leaves weak. */
export function beforeReason(work: string): void {
  stage(work, "see", "see");
  stage(work, "practise", "practise");
}

/** The pictures, and what training starts from. */
export function prepare(work: string): { scenes: string; initial: string } {
  mkdirSync(work, { recursive: true });
  const scenes = join(work, "scenes");
  const { train, eval: queries, seed } = SCENES;
  if (!existsSync(scenes))
    rge(["scenes", "--out", scenes, "--train", `${train}`, "--eval", `${queries}`, "--seed", `${seed}`, "--preview"]);
  const initial = join(work, "initial");
  if (!existsSync(join(initial, "model.safetensors")))
    writeInitial(initial, trainTokenizer(corpus(scenes), TOKENIZER.leastCount), WEIGHTS_SEED);
  return { scenes, initial };
}

/** Settings name folders under `work/`; a copy in the work folder lets that be anywhere. */
function settingsIn(work: string, name: string): string {
  const text = readFileSync(join(HERE, `${name}.json`), "utf8").replaceAll('"work/', '"');
  const file = join(work, `${name}.json`);
  writeFileSync(file, text);
  return file;
}

/** Queries, targets and rationales as the model meets them. */
function* corpus(scenes: string): Generator<string> {
  for (let i = 0; i < TEMPLATE_COUNT; i++) yield* TEMPLATE_TEXTS;
  for (const file of globSync(join(scenes, "train/*.jsonl")).sort()) {
    const lines = readFileSync(file, "utf8").split("\n").slice(0, TOKENIZER.rows);
    for (const line of lines) {
      if (line === "") continue;
      const row = JSON.parse(line) as { qry: string; pos_text: string; rationale: string };
      yield `${row.qry}\n`;
      yield `${row.pos_text}\n`;
      yield row.rationale;
    }
  }
}

/** The model as the package ships it: what a checkpoint is, and the card. */
function ship(model: string): void {
  rmSync(SHIPPED, { recursive: true, force: true });
  mkdirSync(SHIPPED, { recursive: true });
  for (const file of [...globSync(join(model, "*.{json,jinja,safetensors}")), join(HERE, "card.md")])
    copyFileSync(file, join(SHIPPED, basename(file) === "card.md" ? "README.md" : basename(file)));
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { work: { type: "string", default: join(HERE, "work") } } });
  const work = resolve(values.work);
  const { scenes } = prepare(work);
  beforeReason(work);
  ship(stage(work, "reason", "reason"));
  const report = ["--output", join(work, "nano.json"), "--queries", join(work, "nano-queries.jsonl")];
  rge(["eval", "--data", scenes, "--model", SHIPPED, "--budgets", "0,8,16,32,64", ...report]);
}
