/** What made a result: this package's version, and the machine. */
import { readFileSync } from "node:fs";
import { availableParallelism, cpus } from "node:os";

/** The version in package.json. */
export function packageVersion(): string {
  // One level up both from src and from dist.
  const manifest = new URL("../package.json", import.meta.url);
  return (JSON.parse(readFileSync(manifest, "utf8")) as { version: string }).version;
}

/** `AMD EPYC 9R14, 2 cores, Node 24.21.0`. */
export function machineName(): string {
  const model = cpus()[0]?.model.trim() ?? "unknown processor";
  return `${model}, ${availableParallelism()} cores, Node ${process.versions.node}`;
}
