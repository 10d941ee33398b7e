import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { TrainingError } from "../../../src/errors.ts";
import { readLog, TrainingLog, type LogRecord } from "../../../src/train/log.ts";
import { START, stepRecord, validationRecord } from "./records.ts";

const folder = mkdtempSync(join(tmpdir(), "rge-log-"));
after(() => rmSync(folder, { recursive: true }));

let logs = 0;

function logOf(records: readonly LogRecord[]): TrainingLog {
  const log = new TrainingLog(join(folder, `log-${logs++}.jsonl`));
  for (const record of records) log.write(record);
  return log;
}

const EVERY_KIND: readonly LogRecord[] = [
  START,
  { type: "problem", step: 1, place: "cats.jsonl, row 4", reason: "no such picture" },
  stepRecord(1, { lm: null, endedShare: null, rationaleTokens: null, oracleShare: null }),
  validationRecord(1, { contrastive: null, p1: null }),
  { type: "checkpoint", step: 1, folder: "/run/checkpoints/step-00000001" },
  { type: "resume", step: 1, time: "2026-11-24T22:05:00.000Z" },
  { type: "end", step: 1, seconds: 12.5, reason: "finished" },
];

test("every kind of record comes back as it was written, one line each", () => {
  const log = logOf(EVERY_KIND);
  assert.deepEqual(readLog(log.path), EVERY_KIND);
  assert.deepEqual(
    readFileSync(log.path, "utf8")
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line) as LogRecord),
    EVERY_KIND,
  );
});

test("line breaks and quotes in texts stay inside their line", () => {
  const record: LogRecord = { type: "problem", step: 2, place: 'a\n"b"\r\u2028', reason: "\u0000é漢" };
  assert.deepEqual(readLog(logOf([record, record]).path), [record, record]);
});

test("numbers that are not finite are text in the file, numbers again when read, and not taken for a missing term", () => {
  const record = stepRecord(1, { lm: null, contrastive: NaN, loss: Infinity, gradNorm: -Infinity });
  const log = logOf([record]);
  const line = JSON.parse(readFileSync(log.path, "utf8")) as Record<string, unknown>;
  assert.deepEqual(
    [line["lm"], line["contrastive"], line["loss"], line["gradNorm"]],
    [null, "NaN", "Infinity", "-Infinity"],
  );
  assert.deepEqual(readLog(log.path), [record]);
});

test("a log cut anywhere in its last line gives the records before it", () => {
  const log = logOf(EVERY_KIND);
  const bytes = readFileSync(log.path);
  const lastLine = bytes.lastIndexOf("\n", bytes.length - 2) + 1;
  for (let end = lastLine; end < bytes.length - 1; end++) {
    writeFileSync(log.path, bytes.subarray(0, end));
    assert.deepEqual(readLog(log.path), EVERY_KIND.slice(0, -1), `${end} bytes`);
  }
  // Only its line break is missing: nothing is lost.
  writeFileSync(log.path, bytes.subarray(0, -1));
  assert.deepEqual(readLog(log.path), EVERY_KIND);
});

test("a damaged line before the last is an error that names it", () => {
  const { path } = logOf([START]);
  const refuses = (line: string, message: RegExp): void => {
    writeFileSync(path, `${JSON.stringify(START)}\n${line}\n${JSON.stringify(stepRecord(1))}\n`);
    assert.throws(
      () => readLog(path),
      (error) =>
        error instanceof TrainingError && error.message.startsWith(`${path}: line 2 `) && message.test(error.message),
    );
  };
  refuses('{"type":"step","st', /JSON/);
  refuses('{"type":"nonsense"}', /type/);
  refuses('{"type":"checkpoint","step":"7","folder":"f"}', /step: /);
  refuses(JSON.stringify({ ...stepRecord(1), loss: null }), /loss: /);
  // A torn line that others were appended to.
  refuses(`{"type":"st${JSON.stringify(stepRecord(1))}`, /JSON/);
});

test("truncateAfter drops what came after the checkpoint and the torn line, and writing goes on", () => {
  const kept: LogRecord[] = [
    START,
    stepRecord(1),
    stepRecord(2),
    validationRecord(2),
    { type: "checkpoint", step: 2, folder: "f" },
  ];
  const log = logOf([
    ...kept,
    { type: "problem", step: 3, place: "p", reason: "r" },
    stepRecord(3),
    validationRecord(3),
    { type: "end", step: 3, seconds: 1, reason: "stopped" },
  ]);
  appendFileSync(log.path, '{"type":"step","step":4,"data');
  log.truncateAfter(2);
  assert.deepEqual(readLog(log.path), kept);
  const resume: LogRecord = { type: "resume", step: 2, time: "now" };
  log.write(resume);
  assert.deepEqual(readLog(log.path), [...kept, resume]);
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.endsWith(".tmp")),
    [],
  );
});

test("truncateAfter keeps lines as they were written, fields that this version does not know among them", () => {
  const { path } = logOf([]);
  const line = JSON.stringify({ later: [1], ...stepRecord(1), gradNorm: "NaN" });
  writeFileSync(path, `${line}\n${JSON.stringify(stepRecord(2))}\n`);
  new TrainingLog(path).truncateAfter(1);
  assert.equal(readFileSync(path, "utf8"), `${line}\n`);
});

test("truncateAfter makes no log where there is none", () => {
  const path = join(folder, "absent.jsonl");
  new TrainingLog(path).truncateAfter(3);
  assert.ok(!readdirSync(folder).includes("absent.jsonl"));
});
