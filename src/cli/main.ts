#!/usr/bin/env node
/** The command line. Loads a verb's module when it is called for, and an engine only when there is work for it. */
import { nearestNames } from "../checkpoint/tensor-names.ts";
import { UsageError } from "../errors.ts";
import { packageVersion } from "../provenance.ts";
import { Arguments } from "./arguments.ts";
import { optionsOf, type Command } from "./command.ts";
import { EXIT, isClosedPipe, statusOf } from "./exit-status.ts";
import { commandHelp, overviewHelp } from "./help.ts";
import { Interrupt } from "./interrupt.ts";
import { Messages } from "./messages.ts";
import { writeText } from "./output.ts";

interface Verb {
  readonly name: string;
  readonly summary: string;
  readonly load: () => Promise<{ command: Command }>;
}

/** The one table of verbs. */
const VERBS: readonly Verb[] = [
  {
    name: "embed",
    summary: "Embed text and images, one item or a file of them.",
    load: () => import("./commands/embed.ts"),
  },
  {
    name: "start",
    summary: "Index a folder of pictures, or a gallery that comes along, and open a page to search it.",
    load: () => import("./commands/start.ts"),
  },
  {
    name: "index",
    summary: "Make a collection of a folder of pictures or a file of rows.",
    load: () => import("./commands/index.ts"),
  },
  { name: "search", summary: "Ask a collection.", load: () => import("./commands/search.ts") },
  {
    name: "serve",
    summary: "Serve embeddings and search, with a page.",
    load: () => import("./commands/serve.ts"),
  },
  {
    name: "collections",
    summary: "List, optimize, calibrate, restore or remove collections.",
    load: () => import("./commands/collections.ts"),
  },
  { name: "keys", summary: "Make a key for the server.", load: () => import("./commands/keys.ts") },
  {
    name: "train",
    summary: "Train a model, or a LoRA adapter, from a file of settings.",
    load: () => import("./commands/train.ts"),
  },
  { name: "pull", summary: "Download a model and print its folder.", load: () => import("./commands/pull.ts") },
  {
    name: "info",
    summary: "Tell what a model is and what it takes in memory and on disk.",
    load: () => import("./commands/info.ts"),
  },
  {
    name: "eval",
    summary: "Measure a model on Scenes, at several budgets of reasoning.",
    load: () => import("./commands/eval.ts"),
  },
  {
    name: "eval mmeb",
    summary: "Measure a model on MMEB, with a report.",
    load: () => import("./commands/eval-mmeb.ts"),
  },
  {
    name: "eval ablate",
    summary: "Tell what reasoning, its budget and the precision of weights are worth.",
    load: () => import("./commands/eval-ablate.ts"),
  },
  {
    name: "eval compare",
    summary: "Compare two runs of it, query by query.",
    load: () => import("./commands/eval-compare.ts"),
  },
  {
    name: "scenes",
    summary: "Write Scenes, a benchmark of drawn pictures with known contents.",
    load: () => import("./commands/scenes.ts"),
  },
  {
    name: "rationales",
    summary: "Have a larger model write the rationales of a training set.",
    load: () => import("./commands/rationales.ts"),
  },
];

const EXAMPLES = String.raw`
Examples:
  $ rge embed --model owner/rge-3b --image kitchen.jpg --text $'What is on the table?\n'
  $ rge embed --model owner/rge-3b --role target --input captions.jsonl --output captions.out.jsonl
  $ rge info owner/rge-3b
`;

/** Runs a command line and returns its exit status; whatever is wrong has been told on stderr. */
async function main(argv: readonly string[]): Promise<number> {
  // Known before the rest is understood, so that errors in the rest look as asked for.
  const before = argv.slice(0, argv.includes("--") ? argv.indexOf("--") : undefined);
  const messages = new Messages(process.stderr, {
    json: before.includes("--json"),
    quiet: before.includes("--quiet"),
    debug: process.env["RGE_DEBUG"] === "1",
  });
  using interrupt = new Interrupt(messages);
  try {
    const [name, ...rest] = argv;
    if (name === undefined) {
      process.stderr.write(overview());
      return EXIT.usage;
    }
    if (name === "--version") return await print(`${packageVersion()}\n`);
    const wantsHelp = before.includes("--help") || before.includes("-h");
    const words = name === "help" ? rest : argv;
    if (words[0] === undefined || words[0].startsWith("-")) {
      if (wantsHelp || name === "help") return await print(overview());
      throw new UsageError(`a verb comes first: ${VERBS.map((verb) => verb.name).join(", ")}; got ${name}`);
    }
    const verb = findVerb(words);
    const { command } = await verb.load();
    if (wantsHelp || name === "help") return await print(commandHelp(command));
    const own = argv.slice(verb.name.split(" ").length);
    return await command.run(Arguments.parse(own, optionsOf(command)), { messages, interrupt });
  } catch (error) {
    if (interrupt.status !== undefined) return interrupt.status;
    if (!isClosedPipe(error)) messages.error(error);
    return statusOf(error);
  }
}

/** The verb that a command line begins with: of two words, as `eval mmeb`, where there is such a one. */
function findVerb([name = "", second]: readonly string[]): Verb {
  const verb = VERBS.find((it) => it.name === `${name} ${second}`) ?? VERBS.find((it) => it.name === name);
  if (verb !== undefined) return verb;
  const names = VERBS.map((it) => it.name);
  throw new UsageError(
    `there is no verb "${name}"; the nearest is ${nearestNames(name, names, 1)[0]}. \`rge --help\` lists them.`,
  );
}

function overview(): string {
  return overviewHelp(
    VERBS.map(({ name, summary }) => [name, summary]),
    EXAMPLES,
  );
}

async function print(text: string): Promise<number> {
  await writeText(process.stdout, text);
  return EXIT.done;
}

// The write that fails reports it; without a listener the event would end the program with a stack.
process.stdout.on("error", () => {});
process.stderr.on("error", () => {});
process.exitCode = await main(process.argv.slice(2));
