/** `rge serve`: options, listening, stopping. */
import { once } from "node:events";
import { basename, resolve } from "node:path";
import { statSync } from "node:fs";
import { WEIGHT_FORMATS } from "../embed/formats.ts";
import { messageOf, UsageError } from "../errors.ts";
import { Tokenizer } from "../input/tokenizer.ts";
import { createServer } from "../server/app.ts";
import { KeyRing } from "../server/keys.ts";
import type { Arguments } from "./arguments.ts";
import type { CommandContext } from "./command.ts";
import { EXIT } from "./exit-status.ts";
import { loadModel, localFolder } from "./load-model.ts";
import { openStore, readCalibration, readExamples, storeFolder } from "./open-store.ts";

const DEFAULT_PORT = 7860;
const MAX_PORT = 65_535;
/** Addresses that only this machine reaches. */
const LOCAL = new Set(["127.0.0.1", "localhost", "::1"]);

/**
 * Serves until it is told to stop.
 * @returns the exit status
 * @throws {UsageError} options that cannot be carried out
 */
export async function runServe(args: Arguments, context: CommandContext): Promise<number> {
  const { messages, interrupt } = context;
  if (args.positionals.length > 0)
    throw new UsageError(`serve takes no words beside its options, got "${args.positionals[0]}"`);
  const model = args.required("model", "a folder, or a name on the hub");
  const [host, port] = [args.text("host") ?? "127.0.0.1", args.whole("port", 0) ?? DEFAULT_PORT];
  if (port > MAX_PORT) throw new UsageError(`--port is at most ${MAX_PORT}, got ${port}`);
  const keyFile = args.text("keys");
  const keys = keyFile === undefined ? undefined : KeyRing.read(keyFile);
  if (keys === undefined && !LOCAL.has(host) && !args.has("open"))
    throw new UsageError(`--host ${host} lets other machines in: give --keys, or --open to let everyone in`);
  const filesRoot = args.text("files");
  if (filesRoot !== undefined && !statSync(filesRoot, { throwIfNoEntry: false })?.isDirectory())
    throw new UsageError(`--files ${filesRoot} is no folder`);
  const [maxItems, seconds] = [args.whole("max-items", 1), args.whole("timeout", 1)];
  const folder = storeFolder(args.text("store"));
  await using store = await openStore(folder);
  const modelFolder = await localFolder(model, context);
  await using embedder = await loadModel(
    {
      model: modelFolder,
      adapter: args.text("adapter"),
      load: {
        weights: args.choice("weights", WEIGHT_FORMATS),
        batch: args.whole("batch", 1),
        threads: args.whole("threads", 1),
        closingPrompt: undefined,
        cacheDir: undefined,
      },
    },
    context,
  );
  const server = await createServer({
    // A path would tell clients where things are on this machine.
    modelName: modelFolder === resolve(model) ? basename(modelFolder) : model,
    embedder,
    tokenizer: Tokenizer.load(modelFolder),
    store,
    calibrationOf: (collection) => readCalibration(folder, collection),
    examplesOf: (collection) => readExamples(folder, collection),
    keys,
    filesRoot,
    allowRemoteImages: args.has("allow-remote-images"),
    logLevel: args.has("quiet") ? "warn" : "info",
    limits: {
      ...(maxItems !== undefined && { itemsUnderWay: maxItems }),
      ...(seconds !== undefined && { timeoutMs: 1000 * seconds }),
    },
  });
  try {
    const url = await server.app.listen({ host, port });
    messages.notice(`serving at ${url}; Ctrl-C stops`);
  } catch (error) {
    throw new UsageError(`cannot listen at ${host}, port ${port}: ${messageOf(error)}`, { cause: error });
  }
  if (!interrupt.signal.aborted) await once(interrupt.signal, "abort");
  await server.stop();
  return interrupt.status ?? EXIT.done;
}
