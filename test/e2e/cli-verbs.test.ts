import assert from "node:assert/strict";
import { cpSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { HubServer } from "../support/hub-server.ts";
import { CHECKPOINT, runCli, temporaryFolder } from "../support/run-cli.ts";

const COMMIT = "0123456789abcdef0123456789abcdef01234567";
const MANIFEST = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  version: string;
};
const LORA = fileURLToPath(new URL("../fixtures/qwen2_5_vl/lora", import.meta.url));

/** Longest that `rge --help` may take here; 0.3 s is the aim, the rest is for a busy machine. */
const HELP_LIMIT_MS = 600;

describe("help", () => {
  test("comes at once, with every verb, the environment and the exit statuses", async (t) => {
    const times: number[] = [];
    for (let i = 0; i < 3; i++) {
      const startedMs = performance.now();
      const { status, stdout, stderr } = await runCli(["--help"]);
      times.push(performance.now() - startedMs);
      assert.deepEqual([status, stderr], [0, ""]);
      for (const part of [
        "embed ",
        "pull ",
        "info ",
        "rationales ",
        "scenes ",
        "eval ",
        "HF_TOKEN",
        "HF_HUB_OFFLINE",
        "RGE_CACHE",
        "130 ",
        "141 ",
      ])
        assert.ok(stdout.includes(part), part);
    }
    const median = times.sort((a, b) => a - b)[1]!;
    t.diagnostic(`rge --help: ${median.toFixed(0)} ms`);
    assert.ok(median < HELP_LIMIT_MS, `${median} ms`);
  });

  test("of a verb is the same wherever it is asked for", async () => {
    for (const verb of ["embed", "pull", "info", "rationales", "scenes", "eval"]) {
      const { status, stdout } = await runCli([verb, "--help"]);
      assert.equal(status, 0);
      assert.match(stdout, new RegExp(`^Usage:\n {2}rge ${verb} `, "m"));
      assert.match(stdout, /^Examples:\n {2}\$ rge /m);
      assert.equal((await runCli(["help", verb])).stdout, stdout);
      assert.equal((await runCli([verb, "x", "--nonsense", "-h"])).stdout, stdout);
    }
  });

  test("is shown on stderr where nothing is asked, and the version is the package's", async () => {
    const bare = await runCli([]);
    assert.deepEqual([bare.status, bare.stdout], [2, ""]);
    assert.match(bare.stderr, /^Usage:$/m);
    assert.deepEqual(await runCli(["--version"]), { status: 0, stdout: `${MANIFEST.version}\n`, stderr: "" });
  });
});

describe("mistakes", () => {
  test("an unknown verb or option is answered with the nearest one and status 2", async () => {
    const verb = await runCli(["emebd"]);
    assert.deepEqual([verb.status, verb.stdout], [2, ""]);
    assert.match(verb.stderr, /^rge: there is no verb "emebd"; the nearest is embed\./);
    const option = await runCli(["info", CHECKPOINT, "--jsno", "--json"]);
    assert.equal(option.status, 2);
    const { error } = JSON.parse(option.stderr) as { error: { name: string; message: string } };
    assert.equal(error.name, "UsageError");
    assert.match(error.message, /no option --jsno; the nearest is --json/);
    assert.equal((await runCli(["--frobnicate"])).status, 2);
    for (const wrong of [["pull"], ["info"], ["info", "a", "b"]]) assert.equal((await runCli(wrong)).status, 2);
  });

  test("a model that is not there or damaged ends with status 3, its stack only with RGE_DEBUG", async () => {
    const absent = await runCli(["embed", "--model", "./nowhere", "--text", "x"]);
    assert.equal(absent.status, 3);
    assert.match(absent.stderr, /^rge: "\.\/nowhere": no such folder[^\n]*\n$/);
    const folder = join(temporaryFolder(), "damaged");
    cpSync(CHECKPOINT, folder, { recursive: true });
    writeFileSync(join(folder, "config.json"), "{");
    for (const args of [
      ["info", folder],
      ["embed", "--model", folder, "--text", "x", "--cache-dir", folder],
    ]) {
      const { status, stderr } = await runCli(args, { env: { RGE_DEBUG: "1" } });
      assert.equal(status, 3, stderr);
      assert.match(stderr, /config\.json: not valid JSON[^]*\n {4}at /);
    }
  });

  test("a cache that cannot be written ends with status 3", async () => {
    const file = join(temporaryFolder(), "file");
    writeFileSync(file, "");
    const { status, stderr } = await runCli(["embed", "--model", CHECKPOINT, "--text", "x", "--cache-dir", file]);
    assert.equal(status, 3);
    assert.match(stderr, /cannot write the compiled graph/);
  });
});

describe("info", () => {
  test("tells sizes, tokens, generation settings and needs", async () => {
    const { status, stdout } = await runCli(["info", CHECKPOINT]);
    assert.equal(status, 0);
    for (const part of [
      "qwen2_5_vl",
      "parameters  372,976 (float32), 1.4 MiB in files",
      "3 layers, hidden 64, 4 heads of 16 (2 for keys and values), vocabulary 527",
      "vision      4 layers",
      "context     4,096 tokens",
      "<emb> 526",
      "repetition_penalty 1.05",
      "768 B of keys and values per token",
    ])
      assert.ok(stdout.includes(part), `${part} is not in:\n${stdout}`);
  });

  test("is one JSON object with --json, and int8 needs less than float32", async () => {
    const { stdout } = await runCli(["info", CHECKPOINT, "--json"]);
    const facts = JSON.parse(stdout) as {
      hidden: number;
      specialTokens: object;
      weightBytes: Record<string, { total: number; decoder: number }>;
    };
    assert.equal(facts.hidden, 64);
    assert.deepEqual(facts.specialTokens, { emb: 526, image: 524, eos: [520, 518] });
    const { fp32, int8, int4 } = facts.weightBytes;
    assert.ok(int8!.total < fp32!.total / 2);
    assert.ok(int4!.decoder > int8!.decoder && int4!.decoder < 2 * int8!.decoder);
  });
});

function filesIn(folder: string): Record<string, Uint8Array> {
  return Object.fromEntries(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name))]));
}

describe("pull", () => {
  test("downloads a model and an adapter, prints their folders, and embed takes the names as well", async () => {
    await using hub = await HubServer.start({ model: "owner/tiny", commit: COMMIT, files: filesIn(CHECKPOINT) });
    const home = temporaryFolder();
    const env = { HF_ENDPOINT: hub.url, HF_HOME: home, HF_HUB_CACHE: "", HF_TOKEN: "", HF_HUB_OFFLINE: "" };
    const folder = join(home, "hub", "models--owner--tiny", "snapshots", COMMIT);
    assert.deepEqual(await runCli(["pull", "owner/tiny"], { env }), { status: 0, stdout: `${folder}\n`, stderr: "" });
    assert.deepEqual(readdirSync(folder).sort(), readdirSync(CHECKPOINT).sort());

    const machine = await runCli(["pull", "owner/tiny", "--adapter", LORA, "--json"], { env });
    assert.deepEqual(JSON.parse(machine.stdout), { folder, adapter: LORA });

    const args = ["embed", "--model", "owner/tiny", "--text", "x", "--no-reason", "--json", "--cache-dir", home];
    const offline = await runCli(args, { env: { ...env, HF_HUB_OFFLINE: "1" } });
    assert.equal(offline.status, 0, offline.stderr);

    const missing = await runCli(["pull", "owner/other", "--json"], { env });
    const { error } = JSON.parse(missing.stderr) as { error: { httpStatus: number } };
    assert.deepEqual([missing.status, error.httpStatus], [3, 404]);
    rmSync(home, { recursive: true });
  });

  test("a folder is printed as it is", async () => {
    assert.equal((await runCli(["pull", CHECKPOINT])).stdout, `${CHECKPOINT}\n`);
  });
});
