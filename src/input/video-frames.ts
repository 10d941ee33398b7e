/**
 * Frames of a video as pictures: evenly spaced, the same ones every time, written once. Videos are decoded by ffmpeg,
 * which has to be installed; nothing here knows a codec.
 */
import { spawn } from "node:child_process";
import { createHash, randomUUID } from "node:crypto";
import { mkdir, readdir, rename, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { InputError, messageOf } from "../errors.ts";
import { sha256OfFile } from "../hash-file.ts";

/** How a video becomes frames. */
export interface VideoFramesOptions {
  /** How many, 1 to 64; a shorter video gives all that it has. */
  readonly frames: number;
  /** Folder that frames are kept in, named by the video's content. */
  readonly cacheDir: string;
  /** Longest that counting or decoding one video may take, in milliseconds. @default 600000, ten minutes */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** So many frames VLM2Vec saves of a video, and chooses among them. */
export const MAX_FRAMES = 64;
/** An hour of film takes minutes where a core decodes some hundred frames a second. */
const TIMEOUT_MS = 600_000;
/** Belongs to the cache's key: other rules give other frames. */
const RULE = "even-1";
/** Far more than ffprobe's number, or what ffmpeg says of one video. */
const MAX_OUTPUT_CHARS = 65_536;
/** Containers, not playlists or scripts of other files. */
const FORMATS = "mov,mp4,matroska,webm,avi,mpeg,mpegts,flv,asf,ogg,gif";

/**
 * Which of `count` things in a row stand for all, first and last among them, as `numpy.linspace` with whole numbers says.
 * @returns `wanted` indices, or all where there are no more
 */
export function evenly(count: number, wanted: number): number[] {
  if (wanted >= count) return Array.from({ length: count }, (_, i) => i);
  if (wanted === 1) return [0];
  // One factor, multiplied: rounding is numpy's too.
  const step = (count - 1) / (wanted - 1);
  return Array.from({ length: wanted }, (_, i) => (i === wanted - 1 ? count - 1 : Math.floor(i * step)));
}

/** The frames that VLM2Vec chooses of a video that has `total`: evenly among the at most 64 that it saves. */
export function frameIndices(total: number, wanted: number): number[] {
  const saved = Math.min(total, MAX_FRAMES);
  return evenly(saved, wanted).map((i) => (total <= MAX_FRAMES ? i : Math.floor(i * (total / MAX_FRAMES))));
}

/**
 * Evenly spaced frames of a video file, as PNG in the cache folder; a video that was seen before is not decoded again.
 * @returns absolute paths in the video's order
 * @throws {InputError} no ffmpeg, a file that is no video that it knows, or one that takes too long
 * @throws the reason of `signal`
 */
export async function extractFrames(video: string, options: VideoFramesOptions): Promise<string[]> {
  const { frames, cacheDir, timeoutMs = TIMEOUT_MS, signal } = options;
  if (!Number.isInteger(frames) || frames < 1 || frames > MAX_FRAMES)
    throw new InputError(`frames is ${frames}, expected a whole number from 1 to ${MAX_FRAMES}`);
  const root = resolve(cacheDir);
  const hash = await contentHash(video, signal);
  const folder = join(root, createHash("sha256").update(`${hash} ${RULE} ${frames}`).digest("hex"));
  const kept = await framesIn(folder);
  if (kept.length > 0) return kept;

  const run: Run = { video: resolve(video), timeoutMs, signal };
  const wanted = frameIndices(await countFrames(run), frames);
  const part = join(root, `${randomUUID()}.part`);
  try {
    await mkdir(part, { recursive: true });
    await writeFrames(run, wanted, part);
    const written = (await framesIn(part)).length;
    if (written !== wanted.length)
      throw new InputError(`${video}: ffmpeg wrote ${written} frames, expected ${wanted.length}. The file is damaged.`);
    await moveInto(folder, part);
  } finally {
    await rm(part, { recursive: true, force: true });
  }
  return await framesIn(folder);
}

/** One video that a program works on. */
interface Run {
  /** Absolute path. */
  readonly video: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

async function contentHash(video: string, signal: AbortSignal | undefined): Promise<string> {
  try {
    return await sha256OfFile(video, signal);
  } catch (error) {
    signal?.throwIfAborted();
    throw new InputError(`${video}: cannot be read (${messageOf(error)})`, { cause: error });
  }
}

/** Pictures that were written there, in order; none where there is no such folder. */
async function framesIn(folder: string): Promise<string[]> {
  let names: string[];
  try {
    names = await readdir(folder);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
    throw new InputError(`${folder}: cannot be read (${messageOf(error)})`, { cause: error });
  }
  const pictures = names.filter((name) => name.endsWith(".png")).sort();
  return pictures.map((name) => join(folder, name));
}

/** Another process may have written the same frames in the meantime; then its folder stays. */
async function moveInto(folder: string, part: string): Promise<void> {
  try {
    await rename(part, folder);
  } catch (error) {
    if ((await framesIn(folder)).length > 0) return;
    throw new InputError(`${folder}: frames cannot be kept (${messageOf(error)})`, { cause: error });
  }
}

async function countFrames(run: Run): Promise<number> {
  const count = ["-select_streams", "v:0", "-count_frames", "-show_entries", "stream=nb_read_frames"];
  const plain = ["-of", "default=nokey=1:noprint_wrappers=1"];
  const output = await runProgram("ffprobe", ["-v", "error", ...count, ...plain, ...inputOf(run, "")], run);
  const total = Number(/^\d+/.exec(output.trim())?.[0]);
  if (total > 0) return total;
  throw new InputError(`${run.video}: ffprobe finds no frame in it. Expected a video file.`);
}

async function writeFrames(run: Run, indices: readonly number[], folder: string): Promise<void> {
  const select = `select='${indices.map((i) => `eq(n,${i})`).join("+")}'`;
  const output = ["-map", "0:v:0", "-vf", select, "-fps_mode", "passthrough", "-frames:v", String(indices.length)];
  const args = ["-nostdin", "-v", "error", ...inputOf(run, "-i"), ...output, "-f", "image2", "-c:v", "png"];
  // A name relative to the folder: a percent sign in the folder's own name would be a pattern's.
  await runProgram("ffmpeg", [...args, "%04d.png"], run, folder);
}

/** `file:` keeps a name from being an option or another protocol; formats keep a video from naming other files. */
function inputOf({ video }: Run, flag: "-i" | ""): string[] {
  const guards = ["-protocol_whitelist", "file", "-format_whitelist", FORMATS];
  return [...guards, ...(flag === "" ? [] : [flag]), `file:${video}`];
}

async function runProgram(
  program: "ffmpeg" | "ffprobe",
  args: readonly string[],
  { video, timeoutMs, signal }: Run,
  cwd?: string,
): Promise<string> {
  const timeout = AbortSignal.timeout(timeoutMs);
  const child = spawn(program, args, {
    stdio: ["ignore", "pipe", "pipe"],
    signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
    killSignal: "SIGKILL",
    ...(cwd !== undefined && { cwd }),
  });
  const [output, complaints] = [new Tail(), new Tail()];
  child.stdout.setEncoding("utf8").on("data", (text: string) => output.add(text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => complaints.add(text));
  try {
    const status = await new Promise<number | string | null>((done, fail) => {
      child.once("error", fail);
      child.once("close", (code, killedBy) => done(code ?? killedBy));
    });
    if (status === 0) return output.text;
    const reason = complaints.text.trim().split("\n").at(-1) ?? "";
    throw new InputError(`${video}: ${program} failed (${reason === "" ? `status ${status}` : reason})`);
  } catch (error) {
    signal?.throwIfAborted();
    if (timeout.aborted) throw new InputError(`${video}: ${program} took more than ${timeoutMs} ms`, { cause: error });
    if (error instanceof Error && "code" in error && error.code === "ENOENT")
      throw new InputError(`${program} is not installed, but ${video} is a video. Install ffmpeg 5.1 or later.`, {
        cause: error,
      });
    throw error;
  }
}

/** The end of what a program says, bounded. */
class Tail {
  text = "";

  add(text: string): void {
    this.text = (this.text + text).slice(-MAX_OUTPUT_CHARS);
  }
}
