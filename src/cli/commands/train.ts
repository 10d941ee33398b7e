/** `rge train`: trains a model from a file of settings. */
import { settings } from "../../train/config.ts";
import type { OptionSpec } from "../arguments.ts";
import type { Command } from "../command.ts";

const MORE = String.raw`
Settings are a JSON file; flags named like its keys override it (batchSize: --batch-size). Keys that are not in the list
above are refused. Paths in the file are relative to its folder.
  {
    "model": "Qwen/Qwen2.5-VL-3B-Instruct", "output": "runs/first", "steps": 2000,
    "data": [{"name": "OK-VQA", "path": "train/OK-VQA.rationales.jsonl", "imageRoot": "images", "weight": 1}],
    "validation": [{"name": "held-out", "path": "valid.jsonl", "imageRoot": "images"}],
    "lora": {"rank": 16, "alpha": 64, "dropout": 0.1}
  }

Rows, one JSON object per line or the same columns as parquet; a row that cannot be used is reported and counted:
  {"qry": "<|image_1|>\nWhat is it?\n", "qry_image_path": "a.jpg", "pos_text": "a cat\n", "pos_image_path": "",
   "neg_text": ["a dog\n"], "neg_image_path": [""], "rationale": "A cat sits on a chair."}

What is left in the output folder:
  model/          the finished model: a Hugging Face folder, or a PEFT adapter with "lora"
  checkpoints/    step-N folders; each is a model too, with what --resume goes on from
  log.jsonl       one line a step; report.html draws it

Examples:
  $ rge train config.json
  training [######..............]  31%  620 / 2,000  1.9/s  12m 06s left  loss 1.204 (lm 0.412, contrastive 0.792)
  $ rge train config.json --resume
  $ rge train config.json --output runs/direct --mode direct --learning-rate 1e-5
`;

/** Flags made of the settings: `batchSize` is `--batch-size`. */
const FLAGS: readonly OptionSpec[] = settings()
  .filter(({ kind }) => kind !== "structure")
  .map(({ key, kind, help, fallback }): OptionSpec => {
    const shown = fallback === undefined ? "Required." : fallback === "null" ? "" : `[${fallback.replaceAll('"', "")}]`;
    const option = { name: flagOf(key), help: `${help} ${shown}`.trim() };
    if (kind === "switch") return { ...option, negatable: true };
    return { ...option, value: kind === "number" ? "N" : "T" };
  });

const STRUCTURES = settings()
  .filter(({ kind }) => kind === "structure")
  .map(({ key, help }) => `  ${key}: ${help}`);

/** The flag of a setting. */
export function flagOf(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** Trains a model. */
export const command: Command = {
  usage: ["train config.json [--resume | --force] [settings]"],
  about:
    "Trains a model as RGE does: it learns to write rationales from an oracle's, and to embed queries after rationales of its own and targets directly, so that a query is near its target. Everything runs in ONNX Runtime; an interrupted run goes on bit for bit.",
  groups: [
    {
      title: "Run",
      options: [
        { name: "resume", help: "Go on from the last checkpoint in the output folder." },
        { name: "force", help: "Replace the run that the output folder holds." },
      ],
    },
    { title: "Settings (also keys of the file)", options: FLAGS },
  ],
  more: `Settings that only the file has:\n${STRUCTURES.join("\n")}\n${MORE}`,
  run: async (args, context) => await (await import("../train-run.ts")).trainRun(args, context),
};
