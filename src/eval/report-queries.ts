/** The queries that a report shows: which of a dataset's are taken, and how they are written down for its script. */
import { isAbsolute, join, relative, resolve, sep } from "node:path";
import { pathToFileURL } from "node:url";
import type { EvalSide } from "../dataset/eval-task.ts";
import { DatasetError } from "../errors.ts";
import { QUERIES_FOLDER, readQueryRecords } from "./query-records.ts";
import type { DatasetResult, QueryRecord, RankedCandidate } from "./types.ts";

/** What plots are drawn from, of each query. */
export interface Outcome {
  readonly tokens: number;
  readonly finish: QueryRecord["finish"];
  /** Whether its first candidate is a right one. */
  readonly hit: boolean;
}

/** What is read of a dataset's queries. */
export interface ReadQueries {
  readonly outcomes: readonly Outcome[];
  /** How many queries are in `json`. */
  readonly shown: number;
  /** An `EmbeddedDataset`, written so that it can stand in a `script` element. */
  readonly json: string;
}

/** What the page's script reads of a dataset; what several queries have in common stands there once. */
export interface EmbeddedDataset {
  readonly name: string;
  /** Addresses of pictures, from the report's folder. */
  readonly pictures: readonly string[];
  readonly sides: readonly EmbeddedSide[];
  readonly queries: readonly EmbeddedQuery[];
}

/** A text with its pictures, by their places in the list. */
interface EmbeddedSide {
  readonly text: string;
  readonly pictures: readonly number[];
  /** Characters and pictures that it has beyond these. */
  readonly moreText?: number | undefined;
  readonly morePictures?: number | undefined;
}

/** `query`, `rationale` and the first number of a candidate are places in the list of sides. */
interface EmbeddedQuery extends Pick<QueryRecord, "place" | "finish" | "value" | "rank"> {
  readonly query: number;
  readonly rationale: number;
  readonly tokens: number;
  readonly right: EmbeddedCandidate;
  readonly top: readonly EmbeddedCandidate[];
}

type EmbeddedCandidate = readonly [side: number, index: number, score: number, grade: number];

/** Queries shown of a dataset: more than anyone reads, and few enough for a page of 36 datasets. */
const MOST_QUERIES = 200;
/** Characters shown of a text. */
const MOST_TEXT = 4000;
/** Pictures shown of a side; videos have fewer frames. */
const MOST_PICTURES = 64;
/** Candidates shown of a query: as many as a record has. */
const MOST_CANDIDATES = 10;

/**
 * Reads all queries of a dataset and writes down as many as fit, right and wrong ones in their proportion, each kind
 * evenly from the first to the last.
 * @param folder the run's; addresses of pictures start from it
 * @param maxBytes of what is written down
 * @throws {DatasetError} no records, damaged ones, or others than the results are about
 */
export async function readQueries(folder: string, dataset: DatasetResult, maxBytes: number): Promise<ReadQueries> {
  const { name, queries } = dataset;
  const right = Math.round(dataset.metrics["hit@1"]! * queries);
  const takes = inProportion(Math.min(MOST_QUERIES, queries), right, queries);
  const outcomes: Outcome[] = [];
  const taken: ShortRecord[] = [];
  for await (const record of readQueryRecords(folder, name)) {
    const hit = record.rank === 1;
    outcomes.push({ tokens: record.rationaleTokens, finish: record.finish, hit });
    if (outcomes.length > queries) break;
    if (takes(hit)) taken.push(shortened(record));
  }
  if (outcomes.length !== queries || outcomes.filter(({ hit }) => hit).length !== right)
    throw new DatasetError(
      `${join(folder, QUERIES_FOLDER, `${name}.jsonl`)}: not the ${queries} queries, ${right} of them right, that the results are about. Run the evaluation again.`,
    );
  let shown: readonly ShortRecord[] = taken;
  let json = embedded(folder, name, shown);
  while (Buffer.byteLength(json) > maxBytes && shown.length > 0) {
    const fit = Math.floor((shown.length * maxBytes) / Buffer.byteLength(json));
    const takesFewer = inProportion(Math.min(fit, shown.length - 1), taken.filter(isHit).length, taken.length);
    shown = taken.filter((record) => takesFewer(isHit(record)));
    json = embedded(folder, name, shown);
  }
  return { outcomes, shown: shown.length, json };
}

/** Says of each of `all` queries in turn, of which `right` are right, whether it is among the `wanted`. */
function inProportion(wanted: number, right: number, all: number): (hit: boolean) => boolean {
  const ofRight = Math.round((wanted * right) / all);
  const [takesRight, takesWrong] = [evenly(ofRight, right), evenly(wanted - ofRight, all - right)];
  return (hit) => (hit ? takesRight() : takesWrong());
}

function evenly(wanted: number, all: number): () => boolean {
  let seen = 0;
  return () => Math.floor((++seen * wanted) / all) > Math.floor(((seen - 1) * wanted) / all);
}

function isHit({ rank }: ShortRecord): boolean {
  return rank === 1;
}

/** A record without what is not shown, so that a file of long lines does not fill the memory. */
interface ShortRecord extends Pick<QueryRecord, "place" | "finish" | "value" | "rank"> {
  readonly query: ShortSide;
  readonly rationale: ShortSide;
  readonly tokens: number;
  readonly right: ShortCandidate;
  readonly top: readonly ShortCandidate[];
}

interface ShortSide extends Omit<EmbeddedSide, "pictures"> {
  readonly images: readonly string[];
}

interface ShortCandidate extends Omit<RankedCandidate, keyof EvalSide> {
  readonly side: ShortSide;
}

function shortened({ place, finish, value, rank, ...record }: QueryRecord): ShortRecord {
  const candidate = ({ index, score, grade, ...side }: RankedCandidate): ShortCandidate => ({
    side: shortSide(side),
    index,
    score,
    grade,
  });
  return {
    place: place.slice(0, MOST_TEXT),
    finish,
    value,
    rank,
    query: shortSide(record.query),
    rationale: shortSide({ text: record.rationale, images: [] }),
    tokens: record.rationaleTokens,
    right: candidate(record.right),
    top: record.top.slice(0, MOST_CANDIDATES).map(candidate),
  };
}

function shortSide({ text, images }: EvalSide): ShortSide {
  // Not within a character that two code units make up.
  const start = text.length <= MOST_TEXT ? text : text.slice(0, MOST_TEXT).replace(/[\uD800-\uDBFF]$/, "");
  return {
    text: start,
    images: images.slice(0, MOST_PICTURES),
    ...(start.length < text.length && { moreText: text.length - start.length }),
    ...(images.length > MOST_PICTURES && { morePictures: images.length - MOST_PICTURES }),
  };
}

function embedded(folder: string, name: string, records: readonly ShortRecord[]): string {
  const pictures = new Places<string>();
  const sides = new Places<EmbeddedSide>();
  const placeOf = ({ images, ...short }: ShortSide): number => {
    const side = { ...short, pictures: images.map((path) => pictures.placeOf(addressOf(folder, path))) };
    return sides.placeOf(side, JSON.stringify(side));
  };
  const candidate = ({ side, index, score, grade }: ShortCandidate): EmbeddedCandidate => [
    placeOf(side),
    index,
    Number(score.toFixed(4)),
    grade,
  ];
  const queries = records.map((record): EmbeddedQuery => ({
    ...record,
    query: placeOf(record.query),
    rationale: placeOf(record.rationale),
    right: candidate(record.right),
    top: record.top.map(candidate),
  }));
  return jsonForScript({ name, pictures: pictures.all, sides: sides.all, queries } satisfies EmbeddedDataset);
}

/** Things each of which has the place where it came first. */
class Places<T> {
  readonly all: T[] = [];
  readonly #known = new Map<unknown, number>();

  placeOf(thing: T, key: unknown = thing): number {
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    this.#known.set(key, this.all.length);
    return this.all.push(thing) - 1;
  }
}

/** JSON in which no text ends the `script` element that it stands in, nor opens a comment there. */
function jsonForScript(value: unknown): string {
  return JSON.stringify(value).replaceAll("<", "\\u003c");
}

/** The address of a file from a page in `folder`; relative, so that both can be moved or served together. */
function addressOf(folder: string, path: string): string {
  const way = relative(resolve(folder), resolve(folder, path));
  // On another drive there is no way.
  if (isAbsolute(way)) return pathToFileURL(way).href;
  return way
    .split(sep)
    .map((part) => encodeURIComponent(part.toWellFormed()))
    .join("/");
}
