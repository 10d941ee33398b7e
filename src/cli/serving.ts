/** A server that listens, as `rge serve` and `rge start` make it. */
import { basename, resolve } from "node:path";
import { once } from "node:events";
import type { Embedder } from "../embed/embedder.ts";
import { messageOf, UsageError } from "../errors.ts";
import { Tokenizer } from "../input/tokenizer.ts";
import { createServer, type RgeServer, type ServerOptions } from "../server/app.ts";
import type { Store } from "../store/store.ts";
import type { Arguments } from "./arguments.ts";
import type { CommandContext } from "./command.ts";
import { EXIT } from "./exit-status.ts";
import { readCalibration, readExamples } from "./open-store.ts";

const DEFAULT_PORT = 7860;
const MAX_PORT = 65_535;

/** What is served. */
export interface Served {
  /** As the user named it. */
  readonly model: string;
  readonly modelFolder: string;
  readonly embedder: Embedder;
  readonly store: Store;
  readonly storeFolder: string;
  readonly host: string;
  readonly more?: Partial<ServerOptions>;
}

/** `--port`. */
export function portOf(args: Arguments): number {
  const port = args.whole("port", 0) ?? DEFAULT_PORT;
  if (port > MAX_PORT) throw new UsageError(`--port is at most ${MAX_PORT}, got ${port}`);
  return port;
}

/**
 * Makes a server and listens.
 * @throws {UsageError} an address that cannot be listened at
 */
export async function listen(
  { model, modelFolder, embedder, store, storeFolder, host, more }: Served,
  port: number,
): Promise<RgeServer & { readonly url: string }> {
  const server = await createServer({
    // A path would tell clients where things are on this machine.
    modelName: modelFolder === resolve(model) ? basename(modelFolder) : model,
    embedder,
    tokenizer: Tokenizer.load(modelFolder),
    store,
    calibrationOf: (collection) => readCalibration(storeFolder, collection),
    examplesOf: (collection) => readExamples(storeFolder, collection),
    ...more,
  });
  try {
    return { ...server, url: await server.app.listen({ host, port }) };
  } catch (error) {
    throw new UsageError(`cannot listen at ${host}, port ${port}: ${messageOf(error)}`, { cause: error });
  }
}

/** Serves until Ctrl-C or SIGTERM, and gives the exit status. */
export async function untilStopped(server: RgeServer, { interrupt }: CommandContext): Promise<number> {
  if (!interrupt.signal.aborted) await once(interrupt.signal, "abort");
  await server.stop();
  return interrupt.status ?? EXIT.done;
}
