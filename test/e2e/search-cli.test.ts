/** `rge index`, `search`, `collections`, `serve`, `keys`, as processes of their own. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { cpSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { test } from "node:test";
import { fixture } from "../support/fixtures.ts";
import { CHECKPOINT, parseLines, runCli, startCli, temporaryFolder } from "../support/run-cli.ts";

const root = temporaryFolder();
const env = { RGE_STORE: join(root, "store"), RGE_CACHE: join(root, "cache") };
const pictures = join(root, "pictures");
const model = ["--model", CHECKPOINT, "--weights", "fp32"];
mkdirSync(join(pictures, "sub"), { recursive: true });
for (const name of ["example.jpg", "grey.png", "tall-strip.png"])
  cpSync(fixture(`images/${name}`), join(pictures, name));
writeFileSync(join(pictures, "grey.txt"), "nothing but grey");

async function rge(...args: string[]) {
  return await runCli(args, { env });
}

async function indexed(...args: string[]): Promise<Record<string, unknown>> {
  const { stdout, stderr } = await rge("index", pictures, "--collection", "pictures", "--json", ...args);
  assert.notEqual(stdout, "", stderr);
  return parseLines(stdout)[0]!;
}

test("a folder is indexed, again for what changed, and searched", async () => {
  const first = await indexed(...model);
  assert.deepEqual([first["embedded"], first["count"]], [3, 3]);
  // The collection knows its model.
  renameSync(join(pictures, "grey.png"), join(pictures, "sub/grey.png"));
  writeFileSync(join(pictures, "broken.png"), "no picture");
  const { status, stderr, stdout } = await rge(
    "index",
    pictures,
    "--collection",
    "pictures",
    "--weights",
    "fp32",
    "--json",
  );
  assert.equal(status, 1);
  assert.match(stderr, /broken\.png/);
  const again = parseLines(stdout)[0]!;
  assert.deepEqual(
    ["embedded", "unchanged", "moved", "removed", "failed", "count"].map((key) => again[key]),
    [0, 2, 1, 1, 1, 3],
  );
  rmSync(join(pictures, "broken.png"));

  const found = await rge(
    "search",
    "--collection",
    "pictures",
    "--image",
    join(pictures, "example.jpg"),
    "--mode",
    "direct",
    "--weights",
    "fp32",
    "--json",
  );
  const answer = JSON.parse(found.stdout) as { hits: { id: string; score: number }[]; reasoned: boolean };
  assert.deepEqual([answer.hits.length, answer.reasoned], [3, false]);
  const worded = await rge(
    "search",
    "--collection",
    "pictures",
    "a",
    "question",
    "--words",
    "nothing",
    "--mode",
    "reason",
    "--max-new-tokens",
    "4",
    "--limit",
    "1",
    "--weights",
    "fp32",
  );
  assert.match(worded.stdout, /^rationale .*\n.*sub\/grey\.png.*\n1 found in \d+ ms\n$/s);
});

test("collections are listed, gone back to, and removed", async () => {
  const [facts] = JSON.parse((await rge("collections", "--json")).stdout) as { name: string; count: number }[];
  assert.deepEqual([facts!.name, facts!.count], ["pictures", 3]);
  const versions = JSON.parse((await rge("collections", "versions", "pictures", "--json")).stdout) as {
    version: number;
  }[];
  rmSync(join(pictures, "sub/grey.png"));
  assert.equal((await indexed("--weights", "fp32"))["count"], 2);
  const last = versions.at(-1)!.version;
  assert.match((await rge("collections", "restore", "pictures", `${last}`)).stdout, /3 items/);
  assert.equal((await rge("collections", "remove", "pictures")).status, 0);
  assert.match((await rge("collections")).stdout, /no collections in/);
});

test("a collection of another instruction is refused until it is rebuilt", async () => {
  await indexed(...model);
  const refused = await rge("index", pictures, "--collection", "pictures", ...model, "--instruction", "Other.");
  assert.equal(refused.status, 4);
  assert.match(refused.stderr, /instruction .*now "Other\."\).*--rebuild/);
  const rebuilt = await indexed(...model, "--instruction", "Other.", "--rebuild");
  assert.equal(rebuilt["embedded"], 2);
});

test("--watch goes on when the folder changes", { timeout: 60_000 }, async () => {
  const child = startCli(["index", pictures, "--collection", "watched", ...model, "--json", "--watch"], env);
  let out = "";
  child.stdout.on("data", (data: Buffer) => (out += data.toString()));
  const lines = async (count: number): Promise<Record<string, unknown>[]> => {
    while (parseLines(out).length < count) await wait(50);
    return parseLines(out);
  };
  assert.equal((await lines(1))[0]!["embedded"], 2);
  await wait(300);
  cpSync(fixture("images/alpha.png"), join(pictures, "alpha.png"));
  assert.equal((await lines(2))[1]!["embedded"], 1);
  child.kill("SIGINT");
  await once(child, "close");
});

test("the server says where it is, asks for keys, and stops in order", { timeout: 60_000 }, async () => {
  const made = JSON.parse((await rge("keys", "me", "--json")).stdout) as { key: string; line: string };
  const keys = join(root, "keys");
  writeFileSync(keys, `${made.line}\n`);
  const child = startCli(["serve", ...model, "--port", "0", "--keys", keys, "--files", pictures], env);
  let err = "";
  child.stderr.on("data", (data: Buffer) => (err += data.toString()));
  let log = "";
  child.stdout.on("data", (data: Buffer) => (log += data.toString()));
  while (!/serving at http:\S+;/.test(err)) await wait(20);
  const url = /serving at (http:\S+);/.exec(err)![1]!;
  assert.equal((await fetch(`${url}/v1/collections`)).status, 401);
  const headers = { authorization: `Bearer ${made.key}` };
  const listed = (await (await fetch(`${url}/v1/collections`, { headers })).json()) as { data: { name: string }[] };
  assert.deepEqual(
    listed.data.map(({ name }) => name),
    ["pictures", "watched"],
  );
  assert.match(await (await fetch(url)).text(), /<title>rge search<\/title>/);
  assert.match(await (await fetch(`${url}/page/main.js`)).text(), /askEvents/);
  child.kill("SIGTERM");
  const [status] = (await once(child, "close")) as [number];
  assert.equal(status, 143);
  assert.ok(!log.includes(made.key) && !err.includes(made.key));
  assert.ok(log.includes('"key":"me"'), "the log tells whose key it was");
});

test("what cannot be carried out is told before anything is loaded", async () => {
  const cases: [RegExp, string[]][] = [
    [/index wants a source/, ["index"]],
    [/--collection is missing/, ["index", pictures]],
    [/--model is missing/, ["index", pictures, "--collection", "new"]],
    [/nothing to look for/, ["search", "--collection", "pictures"]],
    [/there is no collection none/, ["search", "--collection", "none", "x"]],
    [/--where is a JSON object/, ["search", "--collection", "pictures", "x", "--where", "[1]"]],
    [/collections does one of/, ["collections", "polish"]],
    [/collections show wants a name/, ["collections", "show"]],
    [/lets other machines in/, ["serve", "--host", "0.0.0.0", ...model]],
    [/is no folder/, ["serve", "--files", join(root, "none"), ...model]],
    [/keys wants one name/, ["keys"]],
  ];
  for (const [problem, args] of cases) {
    const { status, stderr } = await rge(...args);
    assert.notEqual(status, 0, args.join(" "));
    assert.match(stderr, problem);
  }
  assert.ok(readFileSync(join(root, "keys"), "utf8").startsWith("me "));
});
