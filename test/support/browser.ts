/** A real Chromium for page tests. */
import { existsSync } from "node:fs";
import { chromium, type Browser } from "playwright-core";

const PLACES = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** Where Chromium is; `undefined` on a machine without, on which the tests of the page are skipped. */
export function chromiumPath(): string | undefined {
  const given = process.env["RGE_CHROMIUM"];
  if (given !== undefined) return given;
  return PLACES.find((path) => existsSync(path));
}

export async function openBrowser(executablePath: string): Promise<Browser> {
  // Without a sandbox, as in containers that run as root.
  return await chromium.launch({ executablePath, args: ["--no-sandbox"] });
}
