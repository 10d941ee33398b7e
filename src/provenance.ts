/** What made a result: this package's version and commit, and the machine. */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { availableParallelism, cpus } from "node:os";
import { fileURLToPath } from "node:url";

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

/** The commit of the package's repository, with `-dirty` where files differ from it; `null` where it runs from none. */
export function packageCommit(): string | null {
  const root = fileURLToPath(new URL("..", import.meta.url));
  // Not any repository that the package may be installed in.
  if (!existsSync(new URL("../.git", import.meta.url))) return null;
  const git = (...args: string[]): string | undefined => {
    const { status, stdout } = spawnSync("git", ["-C", root, ...args], { encoding: "utf8" });
    return status === 0 ? stdout.trim() : undefined;
  };
  const commit = git("rev-parse", "HEAD");
  if (commit === undefined) return null;
  return git("status", "--porcelain", "--untracked-files=no") === "" ? commit : `${commit}-dirty`;
}
