/** What a verb of the command line is. */
import type { Arguments, OptionSpec } from "./arguments.ts";
import type { Interrupt } from "./interrupt.ts";
import type { Messages } from "./messages.ts";

/** What a verb works with beside its own arguments. */
export interface CommandContext {
  readonly messages: Messages;
  readonly interrupt: Interrupt;
}

/** One verb. Its module imports nothing heavy: `--help` must not wait for an engine. */
export interface Command {
  /** Lines after `rge`: `"pull M [options]"`. */
  readonly usage: readonly string[];
  /** What it does, in a paragraph. */
  readonly about: string;
  readonly groups: readonly { readonly title: string; readonly options: readonly OptionSpec[] }[];
  /** Anything else to be known: formats, examples with their output. Printed as it is. */
  readonly more: string;
  /** Carries it out and returns the exit status. */
  readonly run: (args: Arguments, context: CommandContext) => Promise<number>;
}

/** Options that every verb has. */
export const COMMON_OPTIONS: readonly OptionSpec[] = [
  { name: "json", help: "Results and errors as JSON for programs; no progress." },
  { name: "quiet", help: "No progress and no remarks; errors only." },
  { name: "help", help: "Prints this." },
];

/** Every option of `command`. */
export function optionsOf(command: Command): readonly OptionSpec[] {
  return [...command.groups.flatMap(({ options }) => options), ...COMMON_OPTIONS];
}
