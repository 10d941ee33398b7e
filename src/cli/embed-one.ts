/** `rge embed --text ... --image ...`: one item, shown to a person or written as a line of JSON. */
import type { EmbedItem, EmbedResult } from "../embed/types.ts";
import { InputError } from "../errors.ts";
import { answerLine } from "./answer-line.ts";
import type { CommandContext } from "./command.ts";
import type { EmbedPlan, OneItem } from "./embed-plan.ts";
import { EXIT, StatusError } from "./exit-status.ts";
import { itemOf } from "./item-line.ts";
import { loadModel } from "./load-model.ts";
import { printable } from "./messages.ts";
import { writeText } from "./output.ts";
import { formatCount, formatDuration } from "./units.ts";

/** Numbers of an embedding that are shown. */
const SHOWN_NUMBERS = 6;

/**
 * Embeds the item of `plan` and prints it.
 * @throws {StatusError} an item that cannot be embedded
 */
export async function embedOne(
  plan: EmbedPlan,
  { fields }: OneItem,
  context: CommandContext & { json: boolean },
): Promise<number> {
  const { messages, interrupt, json } = context;
  const item: EmbedItem = itemOf(fields, plan.defaults, "");
  await using embedder = await loadModel(plan, context);
  const startedMs = performance.now();
  let result: EmbedResult;
  try {
    messages.progress.update({ what: "embedding", done: 0, total: 1, unit: "items" });
    [result] = (await embedder.embed([item], { signal: interrupt.signal })) as [EmbedResult];
  } catch (error) {
    throw error instanceof InputError ? new StatusError(EXIT.itemsFailed, error) : error;
  } finally {
    messages.progress.clear();
  }
  const text = json ? answerLine(1, result) : describe(result, performance.now() - startedMs);
  await writeText(process.stdout, `${text}\n`);
  return EXIT.done;
}

const ENDINGS: Readonly<Record<EmbedResult["finish"], string>> = {
  emb: "emb, it ended by itself",
  budget: "budget, it was cut off; --max-new-tokens sets the limit",
  direct: "direct, none was written",
};

/** A result for people. */
export function describe(result: EmbedResult, elapsedMs: number): string {
  const { embedding, rationale, rationaleTokens, finish, promptTokens, timings } = result;
  const first = Array.from(embedding.subarray(0, SHOWN_NUMBERS), (value) => value.toFixed(4)).join(", ");
  const more = embedding.length > SHOWN_NUMBERS ? ", ..." : "";
  const norm = Math.hypot(...embedding).toFixed(4);
  const { prepareMs, visionMs, prefillMs, decodeMs } = timings;
  const rows = [
    ["rationale", rationale === "" ? "(none)" : printable(rationale).replaceAll("\n", "\n            ")],
    ["finish", ENDINGS[finish]],
    ["tokens", `${formatCount(promptTokens)} prompt, ${formatCount(rationaleTokens)} rationale`],
    ["embedding", `[${first}${more}]  ${formatCount(embedding.length)} numbers, norm ${norm}`],
    [
      "time",
      `${formatDuration(elapsedMs)}: prepare ${formatDuration(prepareMs)}, vision ${formatDuration(visionMs)}, prefill ${formatDuration(prefillMs)}, decode ${formatDuration(decodeMs)}`,
    ],
  ];
  return rows.map(([name, value]) => `${name!.padEnd(12)}${value}`).join("\n");
}
