/** The store of the command line, and what lies beside its tables. */
import { existsSync, readFileSync, rmSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { StoreError, UsageError } from "../errors.ts";
import { parseExamples, type ExampleQuestion } from "../search/examples.ts";
import { parseCalibration, type Calibration } from "../search/calibration.ts";
import type { Store, VectorOrigin } from "../store/store.ts";
import type { OptionSpec } from "./arguments.ts";

/** The option that names it. */
export const STORE_OPTION: OptionSpec = {
  name: "store",
  value: "DIR",
  help: "Folder of the collections. [$RGE_STORE, else ~/.local/share/rge]",
};

/** The folder of the collections. */
export function storeFolder(given: string | undefined): string {
  if (given === "") throw new UsageError("--store is empty");
  const data = process.env["XDG_DATA_HOME"] || join(homedir(), ".local/share");
  return resolve(given ?? (process.env["RGE_STORE"] || join(data, "rge")));
}

/**
 * Opens the store.
 * @throws {StoreError} a folder that cannot be opened, or packages that are not installed
 */
export async function openStore(folder: string): Promise<Store> {
  const lance = await import("../store/lancedb.ts").catch((error: unknown) => {
    // They are optional: embedding alone needs no store of 200 MB.
    if ((error as NodeJS.ErrnoException).code === "ERR_MODULE_NOT_FOUND")
      throw new StoreError(
        "collections are kept with LanceDB, which is not installed: npm install @lancedb/lancedb@0.30.0 apache-arrow@18.1.0",
        { cause: error },
      );
    throw error;
  });
  return await lance.LanceStore.open(folder);
}

/** A collection's origin; `undefined` where the collection is not there. */
export async function knownOrigin(store: Store, collection: string): Promise<VectorOrigin | undefined> {
  return (await store.list()).includes(collection) ? (await store.open(collection)).origin : undefined;
}

/** What was learnt about a collection's scores, where something was. */
export function readCalibration(folder: string, collection: string): Calibration | undefined {
  const file = calibrationFile(folder, collection);
  return existsSync(file) ? parseCalibration(readFileSync(file, "utf8"), file) : undefined;
}

export async function writeCalibration(folder: string, collection: string, calibration: Calibration): Promise<void> {
  await writeFile(calibrationFile(folder, collection), `${JSON.stringify(calibration, null, 2)}\n`);
}

/** Questions to try, where somebody wrote some. */
export function readExamples(folder: string, collection: string): ExampleQuestion[] {
  const file = examplesFile(folder, collection);
  return existsSync(file) ? parseExamples(readFileSync(file, "utf8"), file) : [];
}

export async function writeExamples(
  folder: string,
  collection: string,
  examples: readonly ExampleQuestion[],
): Promise<void> {
  await writeFile(examplesFile(folder, collection), `${JSON.stringify(examples, null, 2)}\n`);
}

/** Removes a collection with what lies beside it. */
export async function dropCollection(store: Store, folder: string, collection: string): Promise<void> {
  await store.drop(collection);
  rmSync(calibrationFile(folder, collection), { force: true });
  rmSync(examplesFile(folder, collection), { force: true });
}

function calibrationFile(folder: string, collection: string): string {
  return join(folder, `${collection}.calibration.json`);
}

function examplesFile(folder: string, collection: string): string {
  return join(folder, `${collection}.examples.json`);
}
