import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, delimiter, dirname, join } from "node:path";
import { after, beforeEach, describe, test } from "node:test";
import sharp from "sharp";
import { InputError } from "../../../src/errors.ts";
import { evenly, extractFrames, frameIndices } from "../../../src/input/video-frames.ts";

const root = mkdtempSync(join(tmpdir(), "rge-frames-"));
const ownPath = process.env["PATH"];
after(() => {
  process.env["PATH"] = ownPath;
  rmSync(root, { recursive: true, force: true });
});

const FFMPEG = "ffmpeg";
const LOG = join(root, "log.txt");
let places = 0;

/** A video, which stubs do not look into, and an empty cache. */
function newVideo(name = "a.mp4", content = "video"): { video: string; cacheDir: string } {
  const folder = join(root, String(places++));
  mkdirSync(folder);
  const video = join(folder, name);
  writeFileSync(video, content);
  return { video, cacheDir: join(folder, "cache") };
}

/** Puts programs before all others on PATH; each notes its arguments, a line each. */
function stub(programs: Readonly<Record<string, string>>, others = ownPath ?? ""): void {
  const folder = join(root, `bin-${places++}`);
  mkdirSync(folder);
  for (const [name, body] of Object.entries(programs)) {
    const noted = `printf '%s\\n' "${name}" "$@" "" >> '${LOG}'`;
    writeFileSync(join(folder, name), `#!/bin/sh\n${noted}\n${body}\n`, { mode: 0o755 });
  }
  process.env["PATH"] = others === "" ? folder : `${folder}${delimiter}${others}`;
}

/** What each program was called with, in order. */
function calls(): string[][] {
  const log = readFileSync(LOG, "utf8")
    .split("\n\n")
    .filter((call) => call !== "");
  return log.map((call) => call.split("\n"));
}

/** Writes as many pictures as it is told to. */
const WRITE = [
  `while [ "$1" != "-frames:v" ]; do shift; done`,
  `i=1; while [ $i -le "$2" ]; do printf png > "$(printf %04d $i).png"; i=$((i+1)); done`,
].join("\n");

beforeEach(() => writeFileSync(LOG, ""));

async function problemOf(work: Promise<unknown>): Promise<string> {
  const problem = await work.then(
    () => assert.fail("frames came"),
    (error: unknown) => error,
  );
  assert.ok(problem instanceof InputError, String(problem));
  return problem.message;
}

describe("which frames stand for a video", () => {
  test("first and last and those between, as numpy.linspace(0, n - 1, k, dtype=int) says", () => {
    assert.deepEqual(evenly(64, 8), [0, 9, 18, 27, 36, 45, 54, 63]);
    assert.deepEqual(evenly(10, 8), [0, 1, 2, 3, 5, 6, 7, 9]);
    assert.deepEqual(evenly(100, 8), [0, 14, 28, 42, 56, 70, 84, 99]);
    assert.deepEqual(evenly(5, 1), [0]);
  });

  test("all where there are no more", () => {
    assert.deepEqual(evenly(3, 8), [0, 1, 2]);
    assert.deepEqual(evenly(8, 8), [0, 1, 2, 3, 4, 5, 6, 7]);
    assert.deepEqual(evenly(0, 8), []);
  });

  test("of a long video, those among 64 that start its stretches", () => {
    assert.deepEqual(frameIndices(64, 8), evenly(64, 8));
    // 64 stretches of 10 frames each.
    assert.deepEqual(frameIndices(640, 8), [0, 90, 180, 270, 360, 450, 540, 630]);
    assert.deepEqual(frameIndices(100, 3), [0, 48, 98]);
    assert.deepEqual(frameIndices(20, 3), [0, 9, 19]);
  });
});

describe("frames of a video file", () => {
  test("are asked for by their numbers, with arguments that no name can change", async () => {
    stub({ ffprobe: "echo 640", ffmpeg: WRITE });
    const { video, cacheDir } = newVideo("-i http:x;$(touch y) %d.mp4");
    const frames = await extractFrames(video, { frames: 3, cacheDir });
    assert.deepEqual(
      frames.map((frame) => basename(frame)),
      ["0001.png", "0002.png", "0003.png"],
    );
    const [probe, decode] = calls();
    assert.deepEqual(probe!.slice(-1), [`file:${video}`]);
    assert.ok(decode!.includes(`file:${video}`));
    assert.equal(decode![decode!.indexOf(`file:${video}`) - 1], "-i");
    assert.ok(decode!.includes("select='eq(n,0)+eq(n,310)+eq(n,630)'"));
    for (const call of [probe!, decode!]) {
      assert.equal(call[call.indexOf("-protocol_whitelist") + 1], "file");
      assert.ok(call.includes("-format_whitelist"));
    }
  });

  test("are kept: a video of the same content is not decoded again, under another name either", async () => {
    stub({ ffprobe: "echo 64", ffmpeg: WRITE });
    const { video, cacheDir } = newVideo();
    const frames = await extractFrames(video, { frames: 2, cacheDir });
    const copy = join(dirname(video), "b.mp4");
    writeFileSync(copy, "video");
    assert.deepEqual(await extractFrames(copy, { frames: 2, cacheDir }), frames);
    assert.equal(calls().length, 2);
    assert.equal(readdirSync(cacheDir).length, 1);
  });

  test("are others for another content and another number", async () => {
    stub({ ffprobe: "echo 64", ffmpeg: WRITE });
    const { video, cacheDir } = newVideo();
    await extractFrames(video, { frames: 2, cacheDir });
    assert.equal((await extractFrames(video, { frames: 4, cacheDir })).length, 4);
    writeFileSync(video, "another");
    await extractFrames(video, { frames: 2, cacheDir });
    assert.deepEqual([calls().length, readdirSync(cacheDir).length], [6, 3]);
  });

  test("are all that a short video has", async () => {
    stub({ ffprobe: "echo 5", ffmpeg: WRITE });
    const { video, cacheDir } = newVideo();
    assert.equal((await extractFrames(video, { frames: 8, cacheDir })).length, 5);
  });

  test("come once when two ask at a time", async () => {
    stub({ ffprobe: "echo 64", ffmpeg: WRITE });
    const { video, cacheDir } = newVideo();
    const [one, other] = await Promise.all([1, 2].map(() => extractFrames(video, { frames: 2, cacheDir })));
    assert.deepEqual(one, other);
    assert.equal(readdirSync(cacheDir).length, 1);
  });
});

describe("frames that do not come", () => {
  test("without ffmpeg, which the message says to install", async () => {
    stub({}, "");
    const { video, cacheDir } = newVideo();
    const message = await problemOf(extractFrames(video, { frames: 2, cacheDir }));
    assert.equal(message, `ffprobe is not installed, but ${video} is a video. Install ffmpeg 5.1 or later.`);
  });

  test("of a file that ffprobe finds nothing in", async () => {
    stub({ ffprobe: "echo N/A" });
    const { video, cacheDir } = newVideo();
    assert.match(
      await problemOf(extractFrames(video, { frames: 2, cacheDir })),
      /a\.mp4: ffprobe finds no frame in it\. Expected a video file\.$/,
    );
  });

  test("when a program fails, whose last words are told", async () => {
    stub({ ffprobe: "echo 64", ffmpeg: "echo warming up >&2; echo moov atom not found >&2; exit 69" });
    const { video, cacheDir } = newVideo();
    assert.match(
      await problemOf(extractFrames(video, { frames: 2, cacheDir })),
      /a\.mp4: ffmpeg failed \(moov atom not found\)$/,
    );
    assert.deepEqual(readdirSync(cacheDir), []);
  });

  test("when fewer are written than there should be, and none is kept", async () => {
    stub({ ffprobe: "echo 64", ffmpeg: "printf png > 0001.png" });
    const { video, cacheDir } = newVideo();
    assert.match(
      await problemOf(extractFrames(video, { frames: 2, cacheDir })),
      /ffmpeg wrote 1 frames, expected 2\. The file is damaged\.$/,
    );
    assert.deepEqual(readdirSync(cacheDir), []);
  });

  test("in time: the program is killed", async () => {
    stub({ ffprobe: "exec sleep 30" });
    const { video, cacheDir } = newVideo();
    const start = performance.now();
    assert.match(
      await problemOf(extractFrames(video, { frames: 2, cacheDir, timeoutMs: 200 })),
      /a\.mp4: ffprobe took more than 200 ms$/,
    );
    assert.ok(performance.now() - start < 10_000);
  });

  test("after the caller gives up, whose reason is thrown", async () => {
    stub({ ffprobe: "exec sleep 30" });
    const { video, cacheDir } = newVideo();
    const [control, reason] = [new AbortController(), new Error("enough")];
    setTimeout(() => control.abort(reason), 100);
    await assert.rejects(extractFrames(video, { frames: 2, cacheDir, signal: control.signal }), reason);
  });

  test("of a file that is not there", async () => {
    const { video, cacheDir } = newVideo();
    rmSync(video);
    assert.match(await problemOf(extractFrames(video, { frames: 2, cacheDir })), /a\.mp4: cannot be read \(ENOENT/);
  });

  test("in a number out of range", async () => {
    const { video, cacheDir } = newVideo();
    for (const frames of [0, 65, 1.5])
      assert.match(await problemOf(extractFrames(video, { frames, cacheDir })), /expected a whole number from 1 to 64/);
  });
});

/** Twenty frames, each of one grey, the next one ten levels lighter. */
function greys(video: string): void {
  const source = "color=black:size=64x48:rate=10:duration=2,format=gray,geq=lum='10*N+20'";
  const made = spawnSync(FFMPEG, ["-v", "error", "-f", "lavfi", "-i", source, "-c:v", "ffv1", `file:${video}`]);
  assert.equal(made.status, 0, String(made.stderr));
}

const hasFfmpeg = [FFMPEG, "ffprobe"].every((program) => spawnSync(program, ["-version"]).status === 0);
const skip = hasFfmpeg ? false : "ffmpeg is not installed";

describe("frames by the real ffmpeg", { skip }, () => {
  test("are those at the chosen places", async () => {
    process.env["PATH"] = ownPath;
    const { video, cacheDir } = newVideo("x.txt");
    const film = join(dirname(video), "50% grey: -y.mkv");
    greys(film);
    const frames = await extractFrames(film, { frames: 3, cacheDir });
    const levels = await Promise.all(frames.map(async (frame) => (await sharp(frame).stats()).channels[0]!.mean));
    assert.deepEqual(levels.map(Math.round), [20, 110, 210]);
  });

  test("are not of a playlist, which could name any file", async () => {
    process.env["PATH"] = ownPath;
    const { video: playlist, cacheDir } = newVideo("x.m3u8", "");
    const film = join(dirname(playlist), "film.mkv");
    greys(film);
    writeFileSync(playlist, `#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n${film}\n#EXT-X-ENDLIST\n`);
    const message = await problemOf(extractFrames(playlist, { frames: 3, cacheDir }));
    assert.match(message, /x\.m3u8: ffprobe (failed|finds no frame)/);
  });
});
