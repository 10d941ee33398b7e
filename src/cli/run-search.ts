/** `rge search`: options, the answer as text or JSON. */
import { UsageError } from "../errors.ts";
import { QueryEmbedder } from "../search/query-embedder.ts";
import { SEARCH_MODES, Searcher, type SearchAnswer } from "../search/searcher.ts";
import { checkOrigin } from "../store/check.ts";
import type { Filter } from "../store/store.ts";
import type { Arguments } from "./arguments.ts";
import type { CommandContext } from "./command.ts";
import { EXIT } from "./exit-status.ts";
import { loadModel } from "./load-model.ts";
import { modelPlan } from "./model-options.ts";
import { printable } from "./messages.ts";
import { openStore, readCalibration, storeFolder } from "./open-store.ts";
import { writeText } from "./output.ts";

/**
 * Asks as the command line says.
 * @returns the exit status
 * @throws {UsageError} options that cannot be carried out
 */
export async function runSearch(args: Arguments, context: CommandContext): Promise<number> {
  const name = args.required("collection", "where to look");
  const text = args.positionals.join(" ");
  const image = args.text("image");
  if (text.trim() === "" && image === undefined)
    throw new UsageError("nothing to look for: give words, --image, or both");
  const folder = storeFolder(args.text("store"));
  const query = {
    text,
    image,
    instruction: args.text("instruction"),
    mode: args.choice("mode", SEARCH_MODES) ?? "auto",
    words: args.text("words"),
    where: filterOf(args.text("where")),
    limit: args.whole("limit", 1),
    leastChance: args.number("least-chance", "a number from 0 to 1"),
    rerank: args.whole("rerank", 0),
    maxNewTokens: args.whole("max-new-tokens", 1),
    exact: args.has("exact"),
  };
  await using store = await openStore(folder);
  const collection = await store.open(name);
  const { origin } = collection;
  await using embedder = await loadModel(modelPlan(args, args.text("model") ?? origin.model, { many: false }), context);
  checkOrigin(name, origin, { ...origin, modelHash: embedder.info.hash, dimension: embedder.info.hidden });
  const searcher = new Searcher(new QueryEmbedder(embedder), collection, readCalibration(folder, name));
  const answer = await searcher.search(query, { signal: context.interrupt.signal });
  await writeText(process.stdout, args.has("json") ? `${JSON.stringify(jsonOf(answer))}\n` : textOf(answer));
  return EXIT.done;
}

function filterOf(json: string | undefined): Filter | undefined {
  if (json === undefined) return undefined;
  try {
    const parsed: unknown = JSON.parse(json);
    if (typeof parsed === "object" && parsed !== null && !Array.isArray(parsed)) return parsed as Filter;
  } catch {
    // Told below, with what was expected.
  }
  throw new UsageError(`--where is a JSON object such as {"year": {"gte": 1990}}, got ${JSON.stringify(json)}`);
}

function jsonOf({ hits, reasoned, rationale, rationaleTokens, finish, timings }: SearchAnswer): object {
  return {
    reasoned,
    rationale,
    rationaleTokens,
    finish,
    timings,
    hits: hits.map(({ item: { id, text, path, metadata }, score, cosine, chance, judged }) => ({
      id,
      score,
      cosine,
      chance,
      judged,
      text,
      path,
      metadata,
    })),
  };
}

function textOf({ hits, reasoned, rationale, rationaleTokens, finish, timings }: SearchAnswer): string {
  const cut = finish === "budget" ? ", cut off" : "";
  const head = reasoned ? [`rationale  ${printable(rationale)}  (${rationaleTokens} tokens${cut})`] : [];
  const rows = hits.map(({ item: { id, text }, score, chance, judged }) => {
    const likely = chance === undefined ? "" : `  ${`${Math.round(100 * chance)}%`.padStart(4)}`;
    const verdict = judged === undefined ? "" : `  judged ${judged.toFixed(3)}`;
    return `${score.toFixed(3).padStart(7)}${likely}${verdict}  ${printable(id)}${text === "" ? "" : `  ${printable(text)}`}`;
  });
  const tail = `${hits.length} found in ${Math.round(timings.embedMs + timings.searchMs + timings.rerankMs)} ms`;
  return `${[...head, ...rows, tail].join("\n")}\n`;
}
