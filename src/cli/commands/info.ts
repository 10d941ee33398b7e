/** `rge info`: what a model is and what it takes. */
import { WEIGHT_FORMATS } from "../../embed/formats.ts";
import { UsageError } from "../../errors.ts";
import type { Arguments } from "../arguments.ts";
import type { Command, CommandContext } from "../command.ts";
import { EXIT } from "../exit-status.ts";
import type { ModelFacts } from "../model-facts.ts";
import { formatBytes, formatCount } from "../units.ts";

/** Load that the line about keys and values takes as its example: the default batch on prompts with a photograph. */
const EXAMPLE = { items: 16, tokens: 1024 };

const MORE = `
Examples:
  $ rge info Qwen/Qwen2-VL-2B-Instruct
  qwen2_vl    /home/me/.cache/huggingface/hub/models--Qwen--Qwen2-VL-2B-Instruct/snapshots/895c3a49...
  parameters  2,208,985,600 (bfloat16), 4.1 GiB in files
  ...
  weights     in memory   on disk, beside the files
  int8        2.1 GiB     2.1 GiB

  $ rge info --json ./my-checkpoint | jq .weightBytes.int4.total
  2868903936
`;

/** Tells a model's sizes, tokens and needs. */
export const command: Command = {
  usage: ["info M"],
  about:
    "Tells what a model is (family, sizes, special tokens, generation settings) and what each --weights setting takes in memory and on disk. M is a folder or owner/name[@revision]; a name that is not downloaded yet is pulled first, weights included.",
  groups: [],
  more: MORE,
  run: info,
};

async function info(args: Arguments, context: CommandContext): Promise<number> {
  const [model, ...rest] = args.positionals;
  if (model === undefined || rest.length > 0)
    throw new UsageError(
      `info takes one model: a folder or a name such as "owner/name", got ${args.positionals.length}`,
    );
  const { localFolder } = await import("../load-model.ts");
  const { readModelFacts } = await import("../model-facts.ts");
  const { writeText } = await import("../output.ts");
  const facts = readModelFacts(await localFolder(model, context));
  await writeText(process.stdout, `${args.has("json") ? JSON.stringify(facts) : describeFacts(facts)}\n`);
  return EXIT.done;
}

/** The facts for people. */
export function describeFacts(facts: ModelFacts): string {
  const { generation, specialTokens, dtype } = facts;
  const emb =
    specialTokens.emb === null
      ? "no <emb>: training-free mode, a closing prompt stands in its place"
      : `<emb> ${specialTokens.emb}`;
  const sampling = `do_sample ${generation.doSample}, temperature ${generation.temperature}, top_p ${generation.topP}, top_k ${generation.topK}`;
  const kvBytes = EXAMPLE.items * EXAMPLE.tokens * facts.kvBytesPerToken;
  const rows: [string, string][] = [
    [facts.modelType, facts.folder],
    [
      "parameters",
      `${formatCount(facts.parameterCount)} (${dtype ?? "dtype not told"}), ${formatBytes(facts.fileBytes)} in files`,
    ],
    [
      "decoder",
      `${facts.layers} layers, hidden ${facts.hidden}, ${facts.heads} heads of ${facts.headDim} (${facts.kvHeads} for keys and values), vocabulary ${formatCount(facts.vocab)}`,
    ],
    ["vision", `${facts.visionLayers} layers`],
    ["embedding", `${formatCount(facts.hidden)} numbers`],
    ["context", `${formatCount(facts.contextTokens)} tokens`],
    ["tokens", `${emb}; image ${specialTokens.image}; end ${specialTokens.eos.join(", ") || "none"}`],
    ["generation", `repetition_penalty ${generation.repetitionPenalty}; not used by default: ${sampling}`],
    ["", ""],
    ["weights", "in memory   on disk, beside the files"],
    ...WEIGHT_FORMATS.map((name): [string, string] => {
      const size = formatBytes(facts.weightBytes[name].total);
      return [name, `${size.padEnd(11)} ${size}`];
    }),
    [
      "and",
      `${formatBytes(facts.kvBytesPerToken)} of keys and values per token of each item at work: ${formatBytes(kvBytes)} for ${EXAMPLE.items} items of ${formatCount(EXAMPLE.tokens)} tokens`,
    ],
  ];
  return rows.map(([name, value]) => `${name.padEnd(12)}${value}`.trimEnd()).join("\n");
}
