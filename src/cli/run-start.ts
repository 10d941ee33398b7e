/** `rge start`: the gallery or a folder, its collection, the server, the browser. */
import { spawn } from "node:child_process";
import { existsSync, renameSync, rmSync, statSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { NANO } from "../checkpoint/nano.ts";
import type { Embedder } from "../embed/embedder.ts";
import { UsageError } from "../errors.ts";
import { calibrate } from "../search/calibration.ts";
import type { ExampleQuestion } from "../search/examples.ts";
import { askKnown, readKnownQueries } from "../search/known-queries.ts";
import { QueryEmbedder } from "../search/query-embedder.ts";
import { Searcher } from "../search/searcher.ts";
import type { JobStatus } from "../server/index-jobs.ts";
import { QUESTIONS_FILE, writeGallery } from "../scenes/gallery.ts";
import type { Collection } from "../store/store.ts";
import type { Arguments } from "./arguments.ts";
import type { CommandContext } from "./command.ts";
import { indexProgress, sentenceOf } from "./index-progress.ts";
import { loadModel, localFolder } from "./load-model.ts";
import { modelPlan } from "./model-options.ts";
import { knownOrigin, openStore, readCalibration, storeFolder, writeCalibration, writeExamples } from "./open-store.ts";
import { collectionFor, originFor } from "./origin.ts";
import { listen, portOf, untilStopped } from "./serving.ts";

const HOST = "127.0.0.1";
const GALLERY = "gallery";
const GALLERY_SEED = 0;
/** Questions that the page offers. */
const OFFERED = 8;
const POLL_MS = 100;
/** Share of what reasoning gains that `auto` is to keep. */
const KEPT_GAIN = 0.95;

/**
 * Indexes, serves and opens the page, until Ctrl-C.
 * @returns the exit status
 * @throws {UsageError} options that cannot be carried out
 */
export async function runStart(args: Arguments, context: CommandContext): Promise<number> {
  const [given, ...others] = args.positionals;
  if (others.length > 0) throw new UsageError(`start takes one folder, got also "${others[0]}"`);
  if (given !== undefined && !statSync(given, { throwIfNoEntry: false })?.isDirectory())
    throw new UsageError(`${given} is no folder`);
  const port = portOf(args);
  const folder = storeFolder(args.text("store"));
  const name = args.text("collection") ?? (given === undefined ? GALLERY : nameFor(given));
  await using store = await openStore(folder);
  const known = await knownOrigin(store, name);
  const model = args.text("model") ?? known?.model ?? (given === undefined ? NANO : undefined);
  if (model === undefined)
    throw new UsageError(
      "--model is missing: a folder, or a name on the hub (nano, which comes along, knows drawn scenes only)",
    );
  const source = given ?? (await galleryIn(folder, name, context));
  const modelFolder = await localFolder(model, context);
  await using embedder = await loadModel(modelPlan(args, modelFolder, { many: true }), context);
  const collection = await collectionFor(store, name, originFor(model, embedder, known), known);
  // The terminal has the progress; each request's line would hide it.
  const more = { logLevel: "warn" as const };
  const server = await listen({ model, modelFolder, embedder, store, storeFolder: folder, host: HOST, more }, port);
  const page = `${server.url}/?collection=${encodeURIComponent(name)}`;
  context.messages.notice(`${page}; Ctrl-C stops`);
  server.jobs.start(collection, source);
  if (!args.has("no-open")) openBrowser(page, context);
  await watchJob(() => server.jobs.statusOf(name)!, name, context);
  if (given === undefined) await calibrateGallery(source, { collection, embedder, folder }, context);
  return await untilStopped(server, context);
}

/** Shows how far the indexing is, and at its end what it came to. */
async function watchJob(status: () => JobStatus, name: string, { messages, interrupt }: CommandContext): Promise<void> {
  let told = 0;
  const tellProblems = (): void => {
    for (const { place, reason } of status().problems.slice(told)) messages.notice(`${place}: ${reason}`);
    told = status().problems.length;
  };
  for (; status().state === "running" && !interrupt.signal.aborted; await wait(POLL_MS)) {
    tellProblems();
    messages.progress.update(indexProgress(status().counts, status().total));
  }
  messages.progress.clear();
  tellProblems();
  const { state, counts, error } = status();
  if (state === "failed") messages.notice(`${name}: indexing failed: ${error}`);
  else if (state === "done") messages.notice(`${name}: ${sentenceOf(counts)}`);
}

/** The gallery's folder and the questions that the page offers, drawn where they are not there yet. */
async function galleryIn(folder: string, collection: string, { messages, interrupt }: CommandContext): Promise<string> {
  const gallery = join(folder, GALLERY);
  if (existsSync(gallery)) return gallery;
  // A run that is stopped leaves no half a gallery.
  const drawing = `${gallery}.${process.pid}`;
  try {
    messages.notice("drawing the gallery");
    const questions = await writeGallery(drawing, GALLERY_SEED, interrupt.signal);
    const offered = questions.slice(0, OFFERED).map(({ text, image }): ExampleQuestion => ({ text, item: image }));
    await writeExamples(folder, collection, offered);
    renameSync(drawing, gallery);
  } finally {
    rmSync(drawing, { recursive: true, force: true });
  }
  return gallery;
}

/** Learns from the questions that the page does not offer when nano is sure, unless that is known. */
async function calibrateGallery(
  gallery: string,
  { collection, embedder, folder }: { collection: Collection; embedder: Embedder; folder: string },
  { messages, interrupt: { signal } }: CommandContext,
): Promise<void> {
  const { name, origin } = collection;
  if (signal.aborted || readCalibration(folder, name)?.modelHash === origin.modelHash) return;
  try {
    const queries = (await readKnownQueries(join(gallery, QUESTIONS_FILE), collection, signal)).slice(OFFERED);
    const known = await askKnown(new Searcher(new QueryEmbedder(embedder), collection), queries, {
      signal,
      onProgress: (done) =>
        messages.progress.update({ what: "calibrating", done, total: queries.length, unit: "items" }),
    });
    await writeCalibration(folder, name, calibrate(origin.modelHash, known, KEPT_GAIN));
    messages.notice(`${name} is calibrated with ${known.length} questions`);
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    messages.progress.clear();
  }
}

/** A collection's name from a folder's: what a name may not have becomes `-`. */
function nameFor(folder: string): string {
  const name = basename(resolve(folder))
    .replaceAll(/[^A-Za-z0-9_-]+/g, "-")
    .replace(/^[^A-Za-z0-9]+/, "")
    .slice(0, 64);
  return name === "" ? "pictures" : name;
}

/** Opens the page where there is a desktop; the address is printed in any case. */
function openBrowser(page: string, { messages }: CommandContext): void {
  const isDesktop = process.platform !== "linux" || process.env["DISPLAY"] || process.env["WAYLAND_DISPLAY"];
  if (!isDesktop || !process.stderr.isTTY) return;
  const program = { darwin: "open", win32: "explorer" }[process.platform as string] ?? "xdg-open";
  const child = spawn(program, [page], { stdio: "ignore", detached: true });
  child.on("error", () => messages.notice("no browser could be opened; open the address yourself"));
  child.unref();
}
