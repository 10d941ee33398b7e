import assert from "node:assert/strict";
import { once } from "node:events";
import { cpSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { readTrainRows } from "../../src/dataset/train-rows.ts";
import { ChatServer, type Answer, type SeenChat } from "../support/chat-server.ts";
import { parseLines, runCli, startCli, temporaryFolder, type CliResult } from "../support/run-cli.ts";

const FIXTURES = fileURLToPath(new URL("../fixtures", import.meta.url));
const GOOD = "Whiskers and paws are visible. Look for a pet: a cat.";
const good = { write: GOOD };

/** A row that is found again in the requests by its number. */
const question = (number: number): object => ({ qry: `question ${number}?`, pos_text: "cat" });
const numberOf = ({ text: said }: SeenChat): number => Number(/question (\d+)/.exec(said)![1]);

interface Work {
  readonly folder: string;
  readonly output: string;
  readonly rejects: string;
  readonly args: readonly string[];
}

/** A training set of these rows, and the arguments that ask `server` for its rationales. */
function work(server: ChatServer, ...rows: readonly (object | string)[]): Work {
  const folder = temporaryFolder();
  cpSync(join(FIXTURES, "images"), join(folder, "images"), { recursive: true });
  const input = join(folder, "train.jsonl");
  writeFileSync(input, rows.map((row) => `${typeof row === "string" ? row : JSON.stringify(row)}\n`).join(""));
  const output = join(folder, "out.jsonl");
  const args = ["rationales", "--engine", server.url, "--model", "big", "--input", input, "--output", output];
  return { folder, output, rejects: join(folder, "out.rejects.jsonl"), args };
}

const NO_KEYS = { RGE_ENGINE_KEY: "", OPENAI_API_KEY: "" };
function ask({ args }: Work, more: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Promise<CliResult> {
  return runCli([...args, ...more], { env: { ...NO_KEYS, ...env } });
}

const linesOf = (file: string): Record<string, unknown>[] => parseLines(readFileSync(file, "utf8"));
const rowsOf = (file: string): unknown[] => linesOf(file).map(({ row }) => row);

/** Waits until `server` was asked so often. */
async function askedAtLeast(server: ChatServer, count: number): Promise<void> {
  while (server.requests.length < count) await sleep(10);
}

describe("a training set", { timeout: 60_000 }, () => {
  test("gets rationales in its own fields and order, and can be trained on as it is", async () => {
    await using server = await ChatServer.start(async (chat) => {
      // The first answer is the last to come.
      if (chat.text.includes("photo")) await sleep(300);
      return { write: `  ${GOOD.replace(". ", ".\n")}\n` };
    });
    const rows = [
      {
        id: "x",
        qry: "<|image_1|>\nA photo?",
        qry_image_path: "images/example.jpg",
        pos_text: "cat",
        neg_text: ["dog"],
      },
      "",
      { qry: "Find it.", pos_text: "grey", pos_image_path: "images/grey.png", rationale: "old" },
    ];
    const job = work(server, ...rows);
    const { status, stdout, stderr } = await ask(job, ["--max-words", "50"], { RGE_ENGINE_KEY: "sesame" });
    assert.deepEqual([status, stdout], [0, ""], stderr);
    assert.match(stderr, /^rge: 2 of 2 rows accepted in [^;\n]*\n$/);
    const lines = linesOf(job.output);
    assert.deepEqual(
      lines.map(({ hash, ...rest }) => (assert.match(String(hash), /^[0-9a-f]{16}$/), rest)),
      [
        { ...(rows[0] as object), rationale: GOOD, row: 1, model: "big" },
        { ...(rows[2] as object), rationale: GOOD, row: 3, model: "big" },
      ],
    );
    assert.equal(readFileSync(job.rejects, "utf8"), "");
    const read = await readTrainRows(job.output);
    assert.deepEqual([read.rows.length, read.problems, read.rows[1]!.rationale], [2, [], GOOD]);
    const [first] = server.requests.filter(({ text: said }) => said.includes("photo"));
    assert.deepEqual([first!.path, first!.authorization], ["/v1/chat/completions", "Bearer sesame"]);
    const { model, max_tokens, temperature } = first!.body;
    assert.deepEqual({ model, max_tokens, temperature }, { model: "big", max_tokens: 128, temperature: 0 });
    assert.match(first!.instructions, /at most 50 words/);
    assert.deepEqual(
      first!.parts.map(({ type }) => type),
      ["text", "image_url", "text"],
    );
    const bytes = readFileSync(join(FIXTURES, "images", "example.jpg")).toString("base64");
    assert.equal(first!.parts[1]!.image_url!.url, `data:image/jpeg;base64,${bytes}`);
  });

  test("may be parquet with images under another root, other instructions and a limit", async () => {
    await using server = await ChatServer.start(() => good);
    const job = work(server);
    const prompt = join(job.folder, "prompt.txt");
    writeFileSync(prompt, "In {maxWords} words.");
    const input = join(FIXTURES, "dataset", "texts.zstd.parquet");
    const args = ["rationales", "--engine", `${server.url}/v1/`, "--model", "big", "--input", input];
    const { status, stdout, stderr } = await runCli(
      [...args, "--output", job.output, "--image-root", FIXTURES, "--prompt", prompt, "--limit", "3", "--json"],
      { env: NO_KEYS },
    );
    assert.equal(status, 0, stderr);
    const { output, rejects } = job;
    assert.deepEqual(JSON.parse(stdout), { rows: 3, accepted: 3, rejected: {}, failed: 0, output, rejects });
    assert.deepEqual(
      linesOf(output).map(({ row, qry_image_path }) => [row, qry_image_path]),
      [1, 2, 3].map((row) => [row, "images/example.jpg"]),
    );
    assert.equal(server.requests[0]!.instructions, "In 100 words.");
    assert.equal(server.requests[0]!.authorization, undefined);
  });

  test("keeps what is rejected with the reason and what was written", async () => {
    const written = ["", "one ".repeat(101), "It fits the target.", "A cat. Look for a pet.", GOOD];
    await using server = await ChatServer.start((chat) =>
      numberOf(chat) === 6 ? { write: "A", finish: "length" } : { write: written[numberOf(chat) - 1] ?? null },
    );
    const bad = [{ qry: "x", pos_text: "p", qry_image_path: "images/none.jpg" }, "{"];
    const job = work(server, ...[1, 2, 3, 4, 5, 6].map(question), ...bad);
    const { status, stderr } = await ask(job);
    assert.equal(status, 1);
    assert.match(stderr, /1 of 8 rows accepted in .*; 7 rejected \(2 unusable, 1 empty, .*out\.rejects\.jsonl\n/);
    assert.match(stderr, /2 of 8 rows cannot be used; .*out\.rejects\.jsonl says why/);
    assert.deepEqual(rowsOf(job.output), [5]);
    const rejected = linesOf(job.rejects);
    assert.deepEqual(
      rejected.map(({ row, reason, wrote }) => [row, reason, wrote]),
      [
        [1, "empty", ""],
        [2, "too-long", written[1]],
        [3, "mentions-target", written[2]],
        [4, "copies-answer", written[3]],
        [6, "cut-off", "A"],
        [7, "unusable", undefined],
        [8, "unusable", undefined],
      ],
    );
    assert.equal(rejected[1]!["qry"], "question 2?");
    assert.match(String(rejected[5]!["problem"]), /qry_image_path: there is no file/);
    assert.match(String(rejected[6]!["problem"]), /^not JSON/);
  });
});

describe("an engine that misbehaves", { timeout: 60_000 }, () => {
  const FAULTS: readonly Answer[] = [
    { status: 429, headers: { "retry-after": "1" } },
    { status: 500, body: "oops" },
    { cut: true },
    { status: 200, body: "{ not json" },
    { status: 200, body: '{"error": {"message": "overloaded"}}' },
    { hang: true },
  ];

  test("is asked again after each kind of failure, as late as it says, and no row is lost", async () => {
    await using server = await ChatServer.start((chat, nth) => (nth === 1 ? FAULTS[numberOf(chat) - 1]! : good));
    const job = work(server, ...FAULTS.map((_, i) => question(i + 1)));
    const { status, stderr } = await ask(job, ["--timeout-ms", "1000", "--concurrency", "3"]);
    assert.equal(status, 0, stderr);
    assert.deepEqual(rowsOf(job.output), [1, 2, 3, 4, 5, 6]);
    assert.equal(server.requests.length, 2 * FAULTS.length);
    const [first, second] = server.requests.filter((chat) => numberOf(chat) === 1);
    assert.ok(second!.atMs - first!.atMs >= 990, `asked again after ${second!.atMs - first!.atMs} ms`);
  });

  test("loses the rows that it never answers, which --resume asks again", async () => {
    let isMended = false;
    await using server = await ChatServer.start((chat) => {
      if (isMended || ![2, 4].includes(numberOf(chat))) return good;
      return numberOf(chat) === 2 ? { status: 503 } : { status: 400, body: '{"error":{"message":"too many tokens"}}' };
    });
    const job = work(server, ...[1, 2, 3, 4].map(question));
    const first = await ask(job, ["--max-retries", "1", "--concurrency", "1", "--json"]);
    assert.equal(first.status, 1);
    assert.deepEqual((JSON.parse(first.stdout) as { failed: number }).failed, 2);
    const messages = parseLines(first.stderr);
    assert.match(String(messages[0]!["notice"]), /train\.jsonl, row 2: .*no usable answer in 2 tries, the last: 503/);
    assert.match(String(messages[1]!["notice"]), /train\.jsonl, row 4: .*400 Bad Request, "too many tokens"/);
    assert.match(JSON.stringify(messages[2]!["error"]), /2 of 4 rows got no answer; --resume/);
    assert.deepEqual(rowsOf(job.output), [1, 3]);
    isMended = true;
    const before = server.requests.length;
    const resumed = await ask(job, ["--resume"]);
    assert.equal(resumed.status, 0, resumed.stderr);
    assert.equal(server.requests.length, before + 2);
    assert.deepEqual(rowsOf(job.output), [1, 3, 2, 4]);
  });

  test("that refuses ends the run at once, and says what to do without showing the key", async () => {
    for (const [code, key, message] of [
      [401, "", /401 Unauthorized, "no sesame"\. It wants a key: set RGE_ENGINE_KEY \(or OPENAI_API_KEY\)\./],
      [401, "sesame", /"no \[key\]"\. The key in RGE_ENGINE_KEY .* is not accepted/],
      [403, "sesame", /403 Forbidden.* This key may not use "big" there/],
      [404, "sesame", /404 Not Found.* it serves --model "big"/],
      [400, "sesame", /400 Bad Request.* Check --model, --max-tokens/],
      [307, "sesame", /307 .* It sends on to "http:\/\/elsewhere\/"/],
    ] as const) {
      const refusal = {
        status: code,
        body: '{"error": {"message": "no sesame"}}',
        headers: { location: "http://elsewhere/" },
      };
      await using server = await ChatServer.start(() => refusal);
      const job = work(server, ...Array.from({ length: 20 }, (_, i) => question(i)));
      const { status, stderr } = await ask(job, ["--concurrency", "1"], { OPENAI_API_KEY: key });
      assert.equal(status, 3, stderr);
      assert.match(stderr, message);
      if (key !== "") assert.doesNotMatch(stderr, /sesame/);
      assert.ok(server.requests.length <= 4, `${server.requests.length} requests`);
      assert.equal(readFileSync(job.output, "utf8"), "");
    }
  });

  test("that is not there ends the run after a few rows", async () => {
    const server = await ChatServer.start(() => good);
    const job = work(server, ...Array.from({ length: 50 }, (_, i) => question(i)));
    await server[Symbol.asyncDispose]();
    const { status, stderr } = await ask(job, ["--max-retries", "1"]);
    assert.equal(status, 3);
    assert.match(stderr, /3 rows in a row got no answer, the last: .*ECONNREFUSED/);
  });
});

/** Answers the first rows, every third one with nothing, and lets the others wait for `release`. */
function slow(answered: number): { answer: (chat: SeenChat) => Promise<Answer>; release: () => void } {
  const gate = Promise.withResolvers<void>();
  const answer = async (chat: SeenChat): Promise<Answer> => {
    if (numberOf(chat) > answered) await gate.promise;
    return numberOf(chat) % 3 === 0 ? { write: "" } : good;
  };
  return { answer, release: gate.resolve };
}

describe("a run that is stopped", { timeout: 60_000 }, () => {
  const COUNT = 12;
  const rows = Array.from({ length: COUNT }, (_, i) => question(i + 1));

  test("by kill -9 loses only rows in flight; --resume mends a torn line and asks for nothing twice", async () => {
    const { answer, release } = slow(6);
    await using server = await ChatServer.start(answer);
    const job = work(server, ...rows);
    const child = startCli([...job.args, "--concurrency", "2"], NO_KEYS);
    const closed = once(child, "close");
    await askedAtLeast(server, 8);
    while (!(existsSync(job.rejects) && rowsOf(job.rejects).length === 2)) await sleep(10);
    assert.equal(server.requests.length, 8, "two are under way, no third is asked");
    child.kill("SIGKILL");
    await closed;
    assert.deepEqual(rowsOf(job.output), [1, 2, 4, 5]);
    writeFileSync(job.output, '{"qry":"question 7?","ration', { flag: "a" });
    writeFileSync(job.rejects, '{"qry', { flag: "a" });
    release();
    const asked = server.requests.length;
    const resumed = await ask(job, ["--resume"]);
    assert.equal(resumed.status, 0, resumed.stderr);
    assert.match(resumed.stderr, /8 of 12 rows accepted in .*; 4 rejected \(4 empty\)/);
    assert.deepEqual(
      server.requests
        .slice(asked)
        .map(numberOf)
        .sort((a, b) => a - b),
      [7, 8, 9, 10, 11, 12],
    );
    assert.deepEqual(rowsOf(job.output), [1, 2, 4, 5, 7, 8, 10, 11]);
    assert.deepEqual(rowsOf(job.rejects), [3, 6, 9, 12]);
    const complete = readFileSync(job.output, "utf8");
    assert.equal((await ask(job, ["--resume"])).status, 0);
    assert.equal(readFileSync(job.output, "utf8"), complete);
  });

  test("by Ctrl-C says how to go on, and ends soon with 130", async () => {
    const { answer } = slow(2);
    await using server = await ChatServer.start(answer);
    const job = work(server, ...rows);
    const child = startCli(job.args, NO_KEYS);
    const stderr = text(child.stderr);
    const closed = once(child, "close");
    while (!(existsSync(job.output) && rowsOf(job.output).length === 2)) await sleep(10);
    const sentMs = performance.now();
    child.kill("SIGINT");
    const [status] = await closed;
    assert.equal(status, 130, await stderr);
    assert.match(await stderr, /stopped after 2 rows; --resume goes on from there/);
    assert.ok(performance.now() - sentMs < 3000);
  });

  test("goes on with rows that were unusable and no longer are, and only with its own input", async () => {
    await using server = await ChatServer.start(() => good);
    const job = work(server, question(1), { ...question(2), qry_image_path: "images/late.jpg" });
    assert.equal((await ask(job)).status, 1);
    assert.equal((await ask(job, ["--resume"])).status, 1, "it is still unusable");
    assert.deepEqual(rowsOf(job.rejects), [2]);
    cpSync(join(job.folder, "images", "example.jpg"), join(job.folder, "images", "late.jpg"));
    const resumed = await ask(job, ["--resume"]);
    assert.equal(resumed.status, 0, resumed.stderr);
    assert.equal((await ask(job, ["--resume"])).status, 0, "what was unusable once does not count once it is accepted");
    assert.deepEqual(rowsOf(job.output), [1, 2]);
    writeFileSync(join(job.folder, "train.jsonl"), `${JSON.stringify(question(7))}\n`);
    const other = await ask(job, ["--resume"]);
    assert.equal(other.status, 2);
    assert.match(other.stderr, /train\.jsonl, row 1 is not the row that was answered\. --resume needs the input/);
    writeFileSync(job.output, '{"qry":"a","rationale":"b"}\n');
    assert.match((await ask(job, ["--resume"])).stderr, /out\.jsonl: line 1 is no row that got a rationale here/);
    assert.equal(server.requests.length, 2);
  });
});

describe("a command line", { timeout: 60_000 }, () => {
  test("that cannot be carried out ends with 2 before anything is asked or written", async () => {
    await using server = await ChatServer.start(() => good);
    const job = work(server, question(1));
    const { folder, output, rejects } = job;
    const empty = join(folder, "empty.txt");
    writeFileSync(empty, " ");
    const input = join(folder, "train.jsonl");
    const needed = ["rationales", "--engine", server.url, "--model", "m"];
    for (const [args, message] of [
      [["rationales"], /--output is missing/],
      [[...needed.slice(0, 3), "--input", input, "--output", output], /--model is missing/],
      [["rationales", "--model", "m", "--input", input, "--output", output], /--engine is missing/],
      [[...needed, "--input", "nowhere.jsonl", "--output", output], /nowhere\.jsonl: cannot be read \(ENOENT/],
      [[...needed, "--input", folder, "--output", output], /: a folder; give its files one by one/],
      [[...needed, "--input", input, "--output", input, "--force"], /--input is also a file that is to be written/],
      [[...job.args, "--rejects", output], /--output and --rejects are one file/],
      [[...job.args, "--rejects", join(folder, "no", "r.jsonl")], /--rejects .*ENOENT/],
      [[...job.args, "--resume", "--force"], /contradict/],
      [[...job.args, "--prompt", empty], /--prompt .*empty/],
      [[...job.args, "--prompt", folder], /--prompt .*EISDIR/],
      [[...job.args, "--timeout-ms", "300001"], /--timeout-ms is at most 300000/],
      [[...job.args, "--temperature=-1"], /--temperature is a number from 0/],
      [[...job.args, "x"], /takes no words/],
    ] as const) {
      const { status, stderr } = await runCli(args, { env: NO_KEYS });
      assert.equal(status, 2, stderr);
      assert.match(stderr, message);
    }
    assert.deepEqual([server.requests.length, existsSync(output), existsSync(rejects)], [0, false, false]);
    assert.deepEqual([(await ask(job)).status, (await ask(job)).status], [0, 2]);
    assert.equal((await ask(job, ["--force"])).status, 0);
    assert.deepEqual(rowsOf(output), [1]);
  });
});
