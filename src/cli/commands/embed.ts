/** `rge embed`: text and images in, embeddings and rationales out. */
import type { Command } from "../command.ts";
import { embedPlan } from "../embed-plan.ts";

const MORE = String.raw`
Items (--input), one JSON object per line, blank lines skipped; every key may be left out:
  {"id": "q1", "role": "query", "text": "...", "instruction": "...", "images": ["photo.jpg"],
   "minPixels": 3136, "maxPixels": 1003520, "maxNewTokens": 128, "reason": true, "rationale": "..."}
  Paths are relative to the file's folder (stdin: to the working folder). "rationale" is one already known: it is
  read, not written. Options such as --role hold for the lines that do not say otherwise.

Answers (--output, or --json for one item), one line per item, in order; id is the given one or the line's number:
  {"id": "q1", "embedding": [0.0123, ...], "rationale": "...", "rationaleTokens": 7, "finish": "emb", "promptTokens": 92}
  {"id": 2, "error": "line 2: not JSON (...)"}
  finish is "emb" (ended by itself), "budget" (cut off) or "direct" (no rationale was asked for).

Texts are taken verbatim. RGE checkpoints were trained on texts that end in a line break: in JSONL end them with \n,
on the command line of bash and zsh write $'...\n'.

Examples:
  $ rge embed --model owner/rge-3b --image kitchen.jpg --text $'What is on the table?\n'
  rationale   A bowl of lemons and a blue jug stand on the table.
  finish      emb, it ended by itself
  tokens      412 prompt, 14 rationale
  embedding   [0.0187, -0.0042, 0.0310, 0.0005, -0.0221, 0.0094, ...]  2,048 numbers, norm 1.0000
  time        6.1 s: prepare 41 ms, vision 1.3 s, prefill 2.2 s, decode 2.5 s

  $ rge embed --model owner/rge-3b --role target --input captions.jsonl --output captions.out.jsonl
  embedding [########............]   41%  410 / 1,000  3.2/s  3m 04s left

  $ rge embed --model ./my-checkpoint --weights fp32 --text 'a red bicycle' --json | jq '.embedding | length'
  2048
`;

/** Embeds one item or a file of them. */
export const command: Command = {
  usage: [
    "embed [--model M] [--image photo.jpg ...] [--text T] [--instruction T]",
    "embed [--model M] --input items.jsonl|- [--output out.jsonl|-]",
  ],
  about:
    "Embeds text and images. Queries are embedded after a rationale that the model writes, targets directly. The first run with a model compiles it into RGE_CACHE; later ones start in seconds.",
  groups: [
    {
      title: "Model",
      options: [
        {
          name: "model",
          value: "M",
          help: "A folder, or owner/name[@revision] on the hub. [nano, which comes with the package and knows drawn scenes only]",
        },
        { name: "adapter", value: "DIR", help: "A PEFT LoRA adapter to merge in: a folder or a hub name. [none]" },
        { name: "weights", value: "W", help: "fp32, int8 or int4: `rge info` tells what each takes. [int8]" },
        {
          name: "closing-prompt",
          value: "T",
          help: "Training-free mode: this text follows the rationale, and its last token's state is the embedding. [off where the tokenizer has <emb>, else a built-in one]",
        },
        { name: "batch", value: "N", help: "Items that are decoded together, at most 256. [16]" },
        { name: "threads", value: "N", help: "Threads of the engine. [all cores]" },
        { name: "cache-dir", value: "DIR", help: "Folder of compiled graphs. [RGE_CACHE]" },
      ],
    },
    {
      title: "One item",
      options: [
        {
          name: "text",
          value: "T",
          help: "The text; <|image_1|>, <|image_2|> ... say where images stand. [before it]",
        },
        { name: "instruction", value: "T", help: "What is wanted, on a line before the text." },
        { name: "image", value: "FILE", multiple: true, help: "JPEG, PNG, WebP, GIF, AVIF or TIFF; repeat for more." },
      ],
    },
    {
      title: "Many items",
      options: [
        { name: "input", value: "FILE", help: "Items as JSONL; - is stdin." },
        { name: "output", value: "FILE", help: "Answers as JSONL, written as they come; - is stdout. [-]" },
        {
          name: "resume",
          help: "Go on with an output that an earlier run left: keeps what is answered, failures too.",
        },
        { name: "force", help: "Replace an output that is there, rather than refuse." },
        { name: "fail-fast", help: "Stop at the first item that fails." },
      ],
    },
    {
      title: "Items that do not say otherwise",
      options: [
        { name: "role", value: "R", help: "query or target. [query]" },
        { name: "reason", negatable: true, help: "Write a rationale, or embed directly. [queries do, targets do not]" },
        { name: "max-new-tokens", value: "N", help: "Most tokens of a rationale. [128]" },
        {
          name: "on-budget",
          value: "B",
          help: "When they run out: pool-last pools the last token written, force-emb puts an <emb> after it. [pool-last]",
        },
        {
          name: "repetition-penalty",
          value: "P",
          help: "Above 1, tokens seen before become less likely. [the checkpoint's]",
        },
        { name: "temperature", value: "T", help: "0 takes the likeliest token, above 0 one is drawn. [0]" },
        { name: "top-p", value: "P", help: "Draw among the likeliest tokens up to this probability. [1]" },
        { name: "seed", value: "S", help: "Seed of the draws. [0]" },
        { name: "min-pixels", value: "N", help: "Fewest pixels an image is resized to. [the checkpoint's]" },
        { name: "max-pixels", value: "N", help: "Most pixels an image is resized to. [the checkpoint's]" },
      ],
    },
  ],
  more: MORE,
  run: async (args, context) => {
    const plan = embedPlan(args);
    const withFormat = { ...context, json: args.has("json") };
    if (plan.work.kind === "one") return (await import("../embed-one.ts")).embedOne(plan, plan.work, withFormat);
    return (await import("../embed-lines.ts")).embedLines(plan, plan.work, withFormat);
  },
};
