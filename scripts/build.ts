/** Compiles what is published, and copies the server's page beside it: `node scripts/build.ts [DIST]`. */
import { execFileSync } from "node:child_process";
import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "..");
const dist = process.argv[2] ?? join(ROOT, "dist");
// What a file that was renamed left behind would be published too.
rmSync(dist, { recursive: true, force: true });
const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
execFileSync(process.execPath, [tsc, "-p", join(ROOT, "tsconfig.build.json"), "--outDir", dist], { stdio: "inherit" });
cpSync(join(ROOT, "src/server/page"), join(dist, "server/page"), { recursive: true });
