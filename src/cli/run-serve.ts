/** `rge serve`: options, listening, stopping. */
import { statSync } from "node:fs";
import { NANO } from "../checkpoint/nano.ts";
import { UsageError } from "../errors.ts";
import { KeyRing } from "../server/keys.ts";
import type { Arguments } from "./arguments.ts";
import type { CommandContext } from "./command.ts";
import { loadModel, localFolder } from "./load-model.ts";
import { modelPlan } from "./model-options.ts";
import { openStore, storeFolder } from "./open-store.ts";
import { listen, portOf, untilStopped } from "./serving.ts";

/** Addresses that only this machine reaches. */
const LOCAL = new Set(["127.0.0.1", "localhost", "::1"]);

/**
 * Serves until it is told to stop.
 * @returns the exit status
 * @throws {UsageError} options that cannot be carried out
 */
export async function runServe(args: Arguments, context: CommandContext): Promise<number> {
  if (args.positionals.length > 0)
    throw new UsageError(`serve takes no words beside its options, got "${args.positionals[0]}"`);
  const model = args.text("model") ?? NANO;
  const [host, port] = [args.text("host") ?? "127.0.0.1", portOf(args)];
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
  await using embedder = await loadModel(modelPlan(args, modelFolder, { many: true }), context);
  const more = {
    keys,
    filesRoot,
    allowRemoteImages: args.has("allow-remote-images"),
    logLevel: args.has("quiet") ? ("warn" as const) : ("info" as const),
    limits: {
      ...(maxItems !== undefined && { itemsUnderWay: maxItems }),
      ...(seconds !== undefined && { timeoutMs: 1000 * seconds }),
    },
  };
  const server = await listen({ model, modelFolder, embedder, store, storeFolder: folder, host, more }, port);
  context.messages.notice(`serving at ${server.url}; Ctrl-C stops`);
  return await untilStopped(server, context);
}
