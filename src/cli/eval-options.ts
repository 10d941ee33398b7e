/** The options that the verbs of evaluation share. */
import { WEIGHT_FORMATS } from "../embed/formats.ts";
import type { OptionSpec } from "./arguments.ts";

/** Which model is measured. */
export const EVAL_MODEL_OPTIONS: readonly OptionSpec[] = [
  { name: "model", value: "M", help: "A folder, or owner/name[@revision] on the hub. [nano, the package's own]" },
  { name: "adapter", value: "A", help: "A PEFT LoRA adapter, merged at load." },
  { name: "weights", value: "T", help: `${WEIGHT_FORMATS.join(", ")}. [fp32]` },
  { name: "batch", value: "N", help: "Items embedded together. [16; 64 for a model under 256 MiB]" },
  { name: "replicas", value: "N", help: "Copies of the model. [1; one per core for a model under 256 MiB]" },
  { name: "threads", value: "N", help: "Threads inside one operator of a copy. [all cores, shared by the copies]" },
];

/** How items are embedded, over a benchmark's defaults. */
export const EVAL_SETTING_OPTIONS: readonly OptionSpec[] = [
  {
    name: "query-rules",
    value: "FILE",
    help: "YAML rules by which queries' texts are rewritten, or none, or default. [MMEB: default, in our own words; Scenes: none]",
  },
  { name: "target-rules", value: "FILE", help: "The same for targets." },
  {
    name: "max-new-tokens",
    value: "N",
    help: "Tokens that a rationale may have; 0 embeds directly. [MMEB: 128, Scenes: 64]",
  },
  {
    name: "on-budget",
    value: "WHAT",
    help: "When they run out: pool-last takes the last token, as the reference does; force-emb puts <emb> after it. [MMEB: pool-last, Scenes: force-emb]",
  },
  {
    name: "repetition-penalty",
    value: "X",
    help: "Above 1, tokens that occurred become less likely. [the checkpoint's]",
  },
  { name: "min-pixels", value: "N", help: "Fewest pixels of a picture. [MMEB: 200704, Scenes: the checkpoint's]" },
  { name: "max-pixels", value: "N", help: "Most pixels of a picture. [MMEB: 802816, Scenes: the checkpoint's]" },
  { name: "min-side", value: "N", help: "Shorter sides are stretched to it first. [MMEB: 28, Scenes: none]" },
];

/** What it is measured on. */
export const EVAL_DATA_OPTIONS: readonly OptionSpec[] = [
  {
    name: "data",
    value: "DIR",
    help: "A folder of datasets, or owner/name[@revision] of a dataset on the hub, which is downloaded and unpacked. Required.",
  },
  { name: "images", value: "DIR", help: "Folder that image paths are relative to. [the data's, and images in it]" },
  { name: "datasets", value: "A,B", help: "Only these. [all that are there]" },
  { name: "limit", value: "N", help: "Queries of each dataset, from the first. [all]" },
  { name: "frames", value: "N", help: "Frames taken of each video, 1 to 64. [8]" },
];
