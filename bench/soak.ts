/**
 * The server under more than it can do: how fast it is when asked one thing after another, then what happens at twice that
 * rate. Prints once a minute and at the end: answers by status, delays, memory, event-loop delay.
 *
 *   node bench/soak.ts [--minutes 15] [--factor 2]
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Agent, request } from "node:http";
import { seededRandom } from "../src/random.ts";
import { pick } from "../src/scenes/sample.ts";
import { COLOURS, PLACES, SHAPES } from "../src/scenes/world.ts";

const CLIENTS = 64;
const CAPACITY_SECONDS = 20;
const PORT = 7871;

const { values } = parseArgs({
  options: { minutes: { type: "string", default: "15" }, factor: { type: "string", default: "2" } },
});
const [minutes, factor] = [Number(values.minutes), Number(values.factor)];
const random = seededRandom(0);
const root = join(import.meta.dirname, "..");
const picture = `data:image/png;base64,${readFileSync(join(root, "examples/pictures/scene.png")).toString("base64")}`;
const agent = new Agent({ keepAlive: true, maxSockets: 4096 });

/** A reasoned query, half of them with a picture; no two alike, so that nothing is remembered. */
function bodyOf(n: number): string {
  const thing = (): string => `${pick(COLOURS, random)} ${pick(SHAPES, random)}`;
  const text = `Find an image that matches the caption: a ${thing()} at ${pick(PLACES, random)} and a ${thing()}, ${n}.`;
  if (n % 2 === 0) return JSON.stringify({ model: "nano:query", input: text });
  const content = [
    { type: "image_url", image_url: { url: picture } },
    { type: "text", text: `What is right of the ${thing()}? ${n}` },
  ];
  return JSON.stringify({ model: "nano:query", messages: [{ role: "user", content }] });
}

interface Answer {
  readonly status: number;
  readonly ms: number;
  readonly retryAfter: string | undefined;
}

async function ask(path: string, body?: string): Promise<Answer & { readonly text: string }> {
  const startMs = performance.now();
  return await new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json" };
    const sent = request(
      { agent, port: PORT, path, method: body === undefined ? "GET" : "POST", headers },
      (answer) => {
        let text = "";
        answer.setEncoding("utf8");
        answer.on("data", (part: string) => (text += part));
        answer.on("end", () =>
          resolve({
            status: answer.statusCode!,
            ms: performance.now() - startMs,
            retryAfter: answer.headers["retry-after"],
            text,
          }),
        );
      },
    );
    sent.on("error", reject);
    sent.end(body);
  });
}

/** One of the server's metrics; NaN where it is not there. */
function metric(text: string, name: string): number {
  return Number(new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1]);
}

function percentile(sorted: readonly number[], share: number): string {
  return `${(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN).toFixed(0)} ms`;
}

let asked = 0;

/** Requests a second that so many clients get done, each with one at a time. */
async function capacity(): Promise<number> {
  const endMs = performance.now() + 1000 * CAPACITY_SECONDS;
  let done = 0;
  const client = async (): Promise<void> => {
    while (performance.now() < endMs) {
      const { status } = await ask("/v1/embeddings", bodyOf(asked++));
      if (status !== 200) throw new Error(`status ${status} while measuring`);
      done++;
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
  return done / CAPACITY_SECONDS;
}

function most(part: readonly number[]): string {
  return Math.max(...part).toFixed(0);
}

async function soak(rate: number): Promise<void> {
  const statuses = new Map<number, number>();
  const times: number[] = [];
  let [failed, without, mostLag, lag99] = [0, 0, 0, 0];
  const memory: number[] = [];
  const startMs = performance.now();
  const underWay = new Set<Promise<void>>();
  const one = async (): Promise<void> => {
    try {
      const { status, ms, retryAfter } = await ask("/v1/embeddings", bodyOf(asked++));
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      if (status === 200) times.push(ms);
      if (status === 429 && retryAfter === undefined) without++;
    } catch {
      failed++;
    }
  };
  let [sent, minute, scrapedMs] = [0, 0, 0];
  while (performance.now() - startMs < 60_000 * minutes) {
    const due = Math.floor(((performance.now() - startMs) / 1000) * rate);
    for (; sent < due; sent++) {
      const waiting = one().finally(() => underWay.delete(waiting));
      underWay.add(waiting);
    }
    await wait(5);
    if (performance.now() - scrapedMs < 5000) continue;
    scrapedMs = performance.now();
    const { text } = await ask("/metrics");
    mostLag = Math.max(mostLag, metric(text, "nodejs_eventloop_lag_max_seconds"));
    lag99 = Math.max(lag99, metric(text, "nodejs_eventloop_lag_p99_seconds"));
    memory.push(metric(text, "process_resident_memory_bytes") / 2 ** 20);
    const now = Math.floor((performance.now() - startMs) / 60_000);
    if (now === minute) continue;
    minute = now;
    console.log(`${minute} min: ${JSON.stringify(Object.fromEntries(statuses))}, ${memory.at(-1)!.toFixed(0)} MiB`);
  }
  await Promise.all(underWay);
  times.sort((a, b) => a - b);
  console.log(
    `answers ${JSON.stringify(Object.fromEntries(statuses))}, connections failed ${failed}, 429 without Retry-After ${without}`,
  );
  console.log(
    `accepted: p50 ${percentile(times, 0.5)}, p99 ${percentile(times, 0.99)}, ${(times.length / (60 * minutes)).toFixed(0)} a second`,
  );
  console.log(
    `event-loop delay: p99 of the worst 5 s ${(1000 * lag99).toFixed(1)} ms, longest ${(1000 * mostLag).toFixed(1)} ms`,
  );
  const third = Math.ceil(memory.length / 3);
  console.log(
    `memory: most in each third ${most(memory.slice(0, third))}, ${most(memory.slice(third, 2 * third))}, ${most(memory.slice(2 * third))} MiB`,
  );
}

const store = mkdtempSync(join(tmpdir(), "rge-soak-"));
const serve = [join(root, "src/cli/main.ts"), "serve", "--port", `${PORT}`, "--store", store, "--quiet"];
const server = spawn(process.execPath, serve, { stdio: ["ignore", "inherit", "inherit"] });
try {
  for (let i = 0; ; i++) {
    if (i > 300) throw new Error("the server does not start");
    if (
      await ask("/readyz").then(
        ({ status }) => status === 200,
        () => false,
      )
    )
      break;
    await wait(200);
  }
  for (let i = 0; i < 50; i++) await ask("/v1/embeddings", bodyOf(asked++));
  const rate = await capacity();
  console.log(
    `${rate.toFixed(0)} reasoned queries a second with ${CLIENTS} clients; now ${(factor * rate).toFixed(0)} a second for ${minutes} min`,
  );
  await soak(factor * rate);
} finally {
  server.kill("SIGTERM");
  agent.destroy();
  rmSync(store, { recursive: true, force: true });
}
