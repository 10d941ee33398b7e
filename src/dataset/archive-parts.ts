/** Which files are archives, and which belong together because one archive was cut into parts. Knows names only. */
import { DatasetError } from "../errors.ts";

/** An archive: a file, or the parts that one was cut into. */
export interface ArchiveFiles {
  /** Its path, with the number of a part off: `video-tasks/frames/video_qa.tar.gz`. */
  readonly path: string;
  /** Paths of the files it is made of, in order; one where it is whole. */
  readonly parts: readonly string[];
}

// `images.zip`, `video_qa.tar.gz-00` (MMEB-V2), `a.tar.part_aa`, `a.tgz.001`, `a.tar.gzaa` (what `split` makes of a name).
const NAME = /^(?<archive>.+\.(?:zip|tar\.gz|tgz|tar))(?:[-._]?(?:part[-._]?)?(?<part>\d{1,4}|[a-z]{2}))?$/i;

/** Whether the archive is a zip; others are tar files, compressed or not. */
export function isZip({ path }: ArchiveFiles): boolean {
  return /\.zip$/i.test(path);
}

/** Whether a path may be an archive or a part of one; `groupArchives` says whether it is. */
export function archiveOf(path: string): string | undefined {
  return NAME.exec(path)?.groups?.["archive"];
}

/**
 * The archives among `paths`, by their paths. A name such as `a.zip.md` is none: parts begin with `0`, `1` or `aa`.
 * Where an archive lies there both whole and in parts, the whole one is taken.
 * @throws {DatasetError} a part that is missing between others
 */
export function groupArchives(paths: readonly string[]): ArchiveFiles[] {
  const archives = new Map<string, ArchiveFiles>();
  const cut = new Map<string, { path: string; files: Map<string, string> }>();
  for (const file of paths) {
    const { archive, part } = NAME.exec(file)?.groups ?? {};
    if (archive === undefined) continue;
    if (part === undefined) {
      archives.set(archive, { path: archive, parts: [file] });
      continue;
    }
    // Parts of one archive are named in one manner; `a.tar.gz.md` is none beside `a.tar.gz-00`.
    const manner = `${file.slice(0, file.length - part.length)} ${/\d/.test(part) ? "numbers" : "letters"}`;
    const group = cut.get(manner) ?? { path: archive, files: new Map<string, string>() };
    group.files.set(part.toLowerCase(), file);
    cut.set(manner, group);
  }
  for (const { path, files } of cut.values()) {
    if (archives.has(path)) continue;
    const parts = inOrder(path, files);
    if (parts !== undefined) archives.set(path, { path, parts });
  }
  return [...archives.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

function inOrder(archive: string, files: ReadonlyMap<string, string>): string[] | undefined {
  const marks = [...files.keys()];
  const isNumbered = /\d/.test(marks[0]!);
  if (!isNumbered && !files.has("aa")) return undefined;
  const first = isNumbered && !marks.some((mark) => Number(mark) === 0) ? 1 : 0;
  return marks.map((_, i) => {
    const mark = isNumbered ? marks.find((other) => Number(other) === first + i) : letters(i);
    const file = mark === undefined ? undefined : files.get(mark);
    if (file !== undefined) return file;
    const missing = isNumbered ? String(first + i).padStart(marks[0]!.length, "0") : letters(i);
    throw new DatasetError(
      `${archive}: part ${missing} is missing among its parts ${marks.sort().slice(0, 20).join(", ")}. Get all of them.`,
    );
  });
}

/** 0 is `aa`, 26 is `ba`, as `split` counts. */
function letters(i: number): string {
  return String.fromCodePoint(97 + Math.floor(i / 26), 97 + (i % 26));
}
