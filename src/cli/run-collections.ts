/** `rge collections`: its actions. */
import { UsageError } from "../errors.ts";
import { readKnownQueries, askKnown } from "../search/known-queries.ts";
import { calibrate, cheapestKeeping, tradeOffs } from "../search/calibration.ts";
import { QueryEmbedder } from "../search/query-embedder.ts";
import { Searcher } from "../search/searcher.ts";
import { checkOrigin } from "../store/check.ts";
import type { Collection, Store } from "../store/store.ts";
import type { Arguments } from "./arguments.ts";
import type { CommandContext } from "./command.ts";
import { EXIT } from "./exit-status.ts";
import { loadModel } from "./load-model.ts";
import { modelPlan } from "./model-options.ts";
import { dropCollection, openStore, readCalibration, storeFolder, writeCalibration } from "./open-store.ts";
import { writeText } from "./output.ts";
import { formatCount } from "./units.ts";

/** What an action works with. */
interface Work {
  readonly args: Arguments;
  readonly context: CommandContext;
  readonly store: Store;
  readonly folder: string;
  readonly name: string;
  readonly words: readonly string[];
}

/** What an action prints: for people, and for programs. */
interface Said {
  readonly text: string;
  readonly json: unknown;
}

const ACTIONS: Readonly<Record<string, { readonly words: number; readonly run: (work: Work) => Promise<Said> }>> = {
  list: { words: 0, run: list },
  show: { words: 1, run: show },
  optimize: { words: 1, run: optimize },
  versions: { words: 1, run: versions },
  restore: { words: 2, run: restore },
  remove: { words: 1, run: remove },
  calibrate: { words: 1, run: learn },
};

/**
 * Does what the command line says.
 * @returns the exit status
 * @throws {UsageError} an action that is none, or lacks its words
 */
export async function runCollections(args: Arguments, context: CommandContext): Promise<number> {
  const [action = "list", ...words] = args.positionals;
  const known = Object.hasOwn(ACTIONS, action) ? ACTIONS[action] : undefined;
  if (known === undefined)
    throw new UsageError(`collections does one of ${Object.keys(ACTIONS).join(", ")}; got ${JSON.stringify(action)}`);
  if (words.length !== known.words)
    throw new UsageError(
      `collections ${action} wants ${["no word", "a name", "a name and a version"][known.words]}, got ${words.length}`,
    );
  const folder = storeFolder(args.text("store"));
  await using store = await openStore(folder);
  const { text, json } = await known.run({ args, context, store, folder, name: words[0] ?? "", words });
  await writeText(process.stdout, args.has("json") ? `${JSON.stringify(json)}\n` : `${text}\n`);
  return EXIT.done;
}

async function list({ store, folder }: Work): Promise<Said> {
  const all = await Promise.all(
    (await store.list()).map(async (name) => await factsOf(await store.open(name), folder)),
  );
  const text = all.map(
    ({ name, count, model }) => `${name.padEnd(24)} ${formatCount(count).padStart(10)} items  ${model}`,
  );
  return { text: text.length === 0 ? `no collections in ${folder}; rge index makes one` : text.join("\n"), json: all };
}

async function show({ store, folder, name }: Work): Promise<Said> {
  const collection = await store.open(name);
  const facts = await factsOf(collection, folder);
  const text = Object.entries(facts).map(([key, value]) => `${key.padEnd(14)} ${String(value)}`);
  return { text: text.join("\n"), json: facts };
}

interface Facts {
  readonly name: string;
  readonly count: number;
  readonly model: string;
  readonly modelHash: string;
  readonly instruction: string;
  readonly dimension: number;
  readonly calibrated: boolean;
}

async function factsOf(collection: Collection, folder: string): Promise<Facts> {
  const { model, modelHash, instruction, dimension } = collection.origin;
  const calibrated = readCalibration(folder, collection.name)?.modelHash === modelHash;
  return {
    name: collection.name,
    count: await collection.count(),
    model,
    modelHash,
    instruction,
    dimension,
    calibrated,
  };
}

async function optimize({ store, name }: Work): Promise<Said> {
  await (await store.open(name)).optimize();
  return { text: `${name} is up to date`, json: { optimized: name } };
}

async function versions({ store, name }: Work): Promise<Said> {
  const all = await (await store.open(name)).versions();
  const text = all.map(({ version, time }) => `${`${version}`.padStart(6)}  ${time.toISOString()}`);
  return { text: text.join("\n"), json: all };
}

async function restore({ store, name, words }: Work): Promise<Said> {
  const version = Number(words[1]);
  if (!Number.isSafeInteger(version))
    throw new UsageError(`a version is a whole number, got ${JSON.stringify(words[1])}`);
  const collection = await store.open(name);
  await collection.restore(version);
  const count = await collection.count();
  return {
    text: `${name} is as it was at version ${version}: ${formatCount(count)} items`,
    json: { name, version, count },
  };
}

async function remove({ store, folder, name }: Work): Promise<Said> {
  await dropCollection(store, folder, name);
  return { text: `${name} is removed`, json: { removed: name } };
}

async function learn({ args, context, store, folder, name }: Work): Promise<Said> {
  const file = args.required("queries", "held-out queries, each with the id of the item it asks for");
  const share = args.number("keep-gain", "a number from 0 to 1") ?? 0.9;
  if (share < 0 || share > 1) throw new UsageError(`--keep-gain is a number from 0 to 1, got ${share}`);
  const collection = await store.open(name);
  const { origin } = collection;
  await using embedder = await loadModel(modelPlan(args, args.text("model") ?? origin.model, { many: false }), context);
  checkOrigin(name, origin, { ...origin, modelHash: embedder.info.hash, dimension: embedder.info.hidden });
  const { messages, interrupt } = context;
  try {
    const queries = await readKnownQueries(file, collection, interrupt.signal);
    const searcher = new Searcher(new QueryEmbedder(embedder), collection);
    const known = await askKnown(searcher, queries, {
      signal: interrupt.signal,
      onProgress: (done) => messages.progress.update({ what: "asking", done, total: queries.length, unit: "items" }),
    });
    messages.progress.clear();
    const calibration = calibrate(origin.modelHash, known, share);
    await writeCalibration(folder, name, calibration);
    const points = tradeOffs(known, calibration.sure);
    const chosen = cheapestKeeping(points, share);
    return {
      text: [
        `${formatCount(known.length)} queries: right at once ${percent(points[0]!.accuracy)} without reasoning, ${percent(points.at(-1)!.accuracy)} with`,
        `auto reasons where the direct result is less than ${percent(Math.min(1, chosen.leastSure))} sure: ${percent(chosen.accuracy)} with ${percent(chosen.tokens)} of the tokens`,
      ].join("\n"),
      json: { ...calibration, ...chosen, never: points[0], always: points.at(-1) },
    };
  } finally {
    messages.progress.clear();
  }
}

function percent(part: number): string {
  return `${(100 * part).toFixed(1)}%`;
}
