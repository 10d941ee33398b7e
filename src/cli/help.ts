/** Lays out help texts. */
import type { OptionSpec } from "./arguments.ts";
import { COMMON_OPTIONS, type Command } from "./command.ts";
import { EXIT_MEANINGS } from "./exit-status.ts";

const WIDTH = 100;
/** Column in which explanations start. */
const INDENT = 28;

/** Environment variables that change what the verbs do. */
const VARIABLES: readonly (readonly [string, string])[] = [
  ["HF_HUB_CACHE", "Folder of downloaded models, shared with all Hugging Face tools. [$HF_HOME/hub]"],
  ["HF_HOME", "Folder above it, which also holds the token. [~/.cache/huggingface]"],
  ["HF_TOKEN", "Access token for gated and private models. [the file $HF_HOME/token]"],
  ["HF_ENDPOINT", "Another hub or a mirror. [https://huggingface.co]"],
  ["HF_HUB_OFFLINE", "1 uses what is downloaded and never asks the network."],
  ["RGE_ENGINE_KEY", "Key of the engine that `rge rationales` asks. [OPENAI_API_KEY]"],
  ["RGE_CACHE", "Folder of compiled graphs. [~/.cache/rge]"],
  ["RGE_STORE", "Folder of collections. [~/.local/share/rge]"],
  ["RGE_DEBUG", "1 prints errors with their stacks."],
];

/** The help of one verb. */
export function commandHelp({ usage, about, groups, more }: Command): string {
  const sections = [
    wrap(about, 0),
    `Usage:\n${usage.map((line) => `  rge ${line}`).join("\n")}`,
    ...[...groups, { title: "Everywhere", options: COMMON_OPTIONS }].map(
      ({ title, options }) => `${title}:\n${options.map(optionHelp).join("\n")}`,
    ),
    more.trim(),
    environmentHelp(),
    statusHelp(),
  ];
  return `${sections.filter((section) => section !== "").join("\n\n")}\n`;
}

/** The help of `rge` itself. */
export function overviewHelp(verbs: readonly (readonly [name: string, summary: string])[], examples: string): string {
  const sections = [
    "rge embeds text and images with a multimodal LLM: it writes a short rationale first,\nand the embedding is its hidden state after it.",
    "Usage:\n  rge <verb> [options]\n  rge <verb> --help\n  rge --version",
    `Verbs:\n${verbs.map(([name, summary]) => entry(name, summary)).join("\n")}`,
    examples.trim(),
    environmentHelp(),
    statusHelp(),
  ];
  return `${sections.join("\n\n")}\n`;
}

function optionHelp({ name, value, multiple, negatable, help }: OptionSpec): string {
  const shown = negatable ? `--[no-]${name}` : `--${name}`;
  return entry(`${shown}${value === undefined ? "" : ` ${value}`}${multiple ? " ..." : ""}`, help);
}

function environmentHelp(): string {
  return `Environment:\n${VARIABLES.map(([name, meaning]) => entry(name, meaning)).join("\n")}`;
}

function statusHelp(): string {
  return `Exit status:\n${EXIT_MEANINGS.map(([status, meaning]) => entry(String(status), meaning)).join("\n")}`;
}

/** A name in the left column, its explanation in the right one. */
function entry(name: string, explanation: string): string {
  const left = `  ${name}`;
  const right = wrap(explanation, INDENT);
  return left.length < INDENT - 1 ? left + right.slice(left.length) : `${left}\n${right}`;
}

function wrap(text: string, indent: number): string {
  const lines = [""];
  for (const word of text.split(" ")) {
    const line = lines.at(-1)!;
    if (line === "") lines[lines.length - 1] = word;
    else if (indent + line.length + 1 + word.length <= WIDTH) lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(word);
  }
  return lines.map((line) => " ".repeat(indent) + line).join("\n");
}
