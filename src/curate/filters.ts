/** What a rationale must not be, one rule each: a rationale that fails one is kept apart and not trained on. */
import type { TrainRow, TrainSide } from "../dataset/train-row.ts";

/** Why a rationale is not accepted. */
export type Rejection = "empty" | "cut-off" | "too-long" | "mentions-target" | "copies-answer";

/** What a model wrote, and how it came to its end. */
export interface Written {
  readonly text: string;
  /** As the engine names it: `"stop"`, `"length"`. */
  readonly finishReason: string | undefined;
}

/** Most words of a target that counts as a short answer: a class name or a VQA answer, not a caption. */
const MAX_ANSWER_WORDS = 5;
/** RGE puts this before targets that are texts; what follows is the answer. */
const TARGET_OPENING = /^summarize the following [\w ]+ in one word:\s*/i;
/** Left off the start of an answer: "a cat" is copied by "the tabby cat". */
const ARTICLES = new Set(["a", "an", "the"]);
/** Words of grammar: in a rationale they say nothing about an answer that is one of them. */
const GRAMMAR = new Set(["no", "not", "none", "a", "an", "the", "in", "on", "at", "of", "to", "and", "or", "is", "it"]);
/** Ends of clauses; a text without the strong ones has clauses between commas. */
const STRONG_STOP = /[.!?;:\u3002\uff01\uff1f\uff1b\uff1a](?=\s|$|[\u3000-\u9fff])/g;
const COMMA = /[,\uff0c\u3001](?=\s|[\u3000-\u9fff])/g;
/**
 * The target as something that was handed over. `target` in lower case: the shop is none, though an archery target is
 * taken for one.
 */
const MENTIONS: readonly RegExp[] = [
  /\b(?:[Tt]he|[Tt]his|[Tt]hat|[Ii]ts|[Gg]iven|[Pp]rovided|[Cc]orrect|[Dd]esired|[Ii]ntended)\s+target\b/,
  /\b[Tt]arget\s+(?:image|picture|photo|text|caption|answer|sentence|description|category|label|class|passage|document)s?\b/,
  /\b(?:given|provided|correct|expected|reference|ground[- ]truth|supplied|known)\s+answer\b/i,
  /\banswer\s+(?:that\s+)?(?:(?:is|was|being)\s+)?(?:given|provided|supplied)\b/i,
  /\bas\s+the\s+answer\s+(?:says|states|suggests|indicates|shows|implies)\b/i,
  /\bground[- ]truth\b/i,
];

const segmenter = new Intl.Segmenter("en", { granularity: "word" });

/** The first rule that `written` breaks; `undefined` where it can be trained on. */
export function rejectionOf(written: Written, row: TrainRow, maxWords: number): Rejection | undefined {
  const { text } = written;
  if (isEmpty(text)) return "empty";
  if (isCutOff(written)) return "cut-off";
  if (isTooLong(text, maxWords)) return "too-long";
  if (mentionsTarget(text)) return "mentions-target";
  if (copiesAnswer(text, row)) return "copies-answer";
  return undefined;
}

/** Whether there is nothing to read. */
export function isEmpty(text: string): boolean {
  return wordsOf(text).length === 0;
}

/** Whether the tokens ran out before the end. */
export function isCutOff({ finishReason }: Written): boolean {
  return finishReason === "length";
}

/** Whether there are more words than asked for; in scripts without spaces a word is what Unicode takes for one. */
export function isTooLong(text: string, maxWords: number): boolean {
  return wordsOf(text).length > maxWords;
}

/** Whether the text speaks of the target, or of an answer as given: whoever reads the query alone sees neither. */
export function mentionsTarget(text: string): boolean {
  return MENTIONS.some((pattern) => pattern.test(text));
}

/**
 * Whether a short answer stands in the text before its final clause, which is where a conclusion belongs. Answers that
 * the query itself names (one of its choices) or that are words of grammar are left alone.
 */
export function copiesAnswer(text: string, { query, target }: Pick<TrainRow, "query" | "target">): boolean {
  const answer = shortAnswer(target);
  if (answer === undefined || holds(wordsOf(query.text), answer)) return false;
  return holds(wordsOf(beforeFinalClause(text)), answer);
}

/** The words of a target that is a short answer. */
function shortAnswer({ text, image }: TrainSide): readonly string[] | undefined {
  if (image !== undefined) return undefined;
  const words = wordsOf(text.trim().replace(TARGET_OPENING, ""));
  const answer = words.length > 1 && ARTICLES.has(words[0]!) ? words.slice(1) : words;
  const isShort = answer.length > 0 && answer.length <= MAX_ANSWER_WORDS;
  return isShort && !answer.every((word) => GRAMMAR.has(word)) ? answer : undefined;
}

function beforeFinalClause(text: string): string {
  // The stop that ends the text opens no clause.
  const body = text.trimEnd().replace(/[.!?;:\u3002\uff01\uff1f]+["')\]]*$/, "");
  const stop = [...body.matchAll(STRONG_STOP)].at(-1) ?? [...body.matchAll(COMMA)].at(-1);
  return body.slice(0, stop?.index ?? 0);
}

/** Lower-case words without punctuation. */
function wordsOf(text: string): string[] {
  return [...segmenter.segment(text.normalize("NFKC").toLowerCase())].flatMap(({ segment, isWordLike }) =>
    isWordLike ? [segment] : [],
  );
}

/** Whether `part` stands in `whole` as neighbouring words. */
function holds(whole: readonly string[], part: readonly string[]): boolean {
  return whole.some((_, from) => part.every((word, i) => whole[from + i] === word));
}
