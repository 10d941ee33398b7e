/** Questions about videos, each with a few answers; as VLM2Vec's readers of these datasets word them, letter by letter. */
import type { Clip } from "./clip-frames.ts";
import { MVBENCH_VIDEOS, mvbenchFiles } from "./mvbench.ts";
import { RowError } from "./row-text.ts";
import { mp4, nameOf, textsOf, wordsOf, type RowContext, type Values, type VideoDataset } from "./video-row.ts";

/** A blank of its own and one more come between it and the question. */
const INSTRUCTION =
  "Given a video and a question, select the most accurate answer from the provided candidates. " +
  "Return only the exact text of your chosen answer. Question: ";
const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/** A question as its dataset words it. */
interface Question {
  readonly clip: Clip;
  readonly question: string;
  readonly answers: readonly string[];
  /** Which answer is right; none by a number that is no answer's. */
  readonly right: number;
}

/** A dataset of questions. */
interface QuestionDataset {
  readonly rows: string;
  readonly folders: readonly string[];
  readonly fields: readonly string[];
  readonly read: (row: Values, context: RowContext) => Question;
}

function questions({ rows, folders, fields, read }: QuestionDataset): VideoDataset {
  return {
    rows,
    folders: folders.flatMap((folder) => [`video_qa/${folder}`, `video_qa/video_qa/${folder}`]),
    fields,
    candidates: "own",
    read: (row, context) => {
      const { clip, question, answers, right } = read(row, context);
      if (answers[right] === undefined)
        throw new RowError(`answer ${JSON.stringify(row["answer"])} is none of the ${answers.length} that there are`);
      return {
        query: { text: `${INSTRUCTION} ${question}`, clip },
        candidates: answers.map((text) => ({ text })),
        right: [right],
      };
    },
  };
}

/** `(A) red`, `(B) blue`. */
function lettered(options: readonly string[]): string[] {
  return options.map((option, i) => `(${LETTERS[i] ?? "?"}) ${option}`);
}

/** The question, then its options in lines of their own. */
function withOptions(question: string, options: readonly string[]): string {
  return [question, "Options:", ...lettered(options)].join("\n").trimEnd();
}

/** `A. A red ball.` -> `A red ball`. */
function withoutLetter(option: string): string {
  return option.slice(Math.max(option.indexOf(". "), 0)).replace(/^[. ]+|[. ]+$/g, "");
}

/** MVBench: twenty kinds of questions, the answers with their letters. */
export const MVBENCH: VideoDataset = {
  ...questions({
    rows: "mvbench",
    folders: ["MVBench"],
    fields: ["video", "question", "candidates", "answer"],
    read: (row, { subset }) => {
      const folder = MVBENCH_VIDEOS[subset ?? ""];
      if (folder === undefined) throw new RowError(`internal: a row of MVBench's subset ${subset}`);
      const [video, options] = [wordsOf("video", row), textsOf("candidates", row)];
      return {
        clip: { frames: `${subset}/${video}`, video: `${folder}/${video}` },
        question: withOptions(wordsOf("question", row), options),
        answers: lettered(options),
        right: options.lastIndexOf(wordsOf("answer", row)),
      };
    },
  }),
  files: mvbenchFiles,
};

/** Video-MME: the options stand in the question with their letters, the answers are without. */
export const VIDEO_MME: VideoDataset = questions({
  rows: "video-mme.jsonl",
  folders: ["Video-MME"],
  fields: ["videoID", "question", "options", "answer"],
  read: (row) => {
    const options = textsOf("options", row);
    return {
      clip: mp4(wordsOf("videoID", row)),
      question: [wordsOf("question", row), ...options].join("\n"),
      answers: options.map(withoutLetter),
      right: LETTERS.split("").indexOf(wordsOf("answer", row)),
    };
  },
});

/** NExT-QA, its part with five options each: with letters in the question, without as answers. */
export const NEXT_QA: VideoDataset = questions({
  rows: "nextqa.jsonl",
  folders: ["NExTQA"],
  fields: ["video", "question", "answer", "a0", "a1", "a2", "a3", "a4"],
  read: (row) => {
    const options = [0, 1, 2, 3, 4].map((i) => wordsOf(`a${i}`, row));
    return {
      clip: mp4(nameOf("video", row)),
      question: withOptions(wordsOf("question", row), options),
      answers: options,
      right: Number(nameOf("answer", row)),
    };
  },
});

/** EgoSchema: options with letters follow the question at once, answers are without. */
export const EGO_SCHEMA: VideoDataset = questions({
  rows: "egoschema.jsonl",
  folders: ["EgoSchema", "egoschema"],
  fields: ["video_idx", "question", "option", "answer"],
  read: (row) => {
    const options = textsOf("option", row);
    return {
      clip: mp4(wordsOf("video_idx", row)),
      question: `${wordsOf("question", row)}${options.join(" ")}`,
      answers: options.map(withoutLetter),
      right: Number(nameOf("answer", row)),
    };
  },
});

/** ActivityNet-QA, its questions with yes or no. */
export const ACTIVITY_NET_QA: VideoDataset = questions({
  rows: "activitynetqa.jsonl",
  folders: ["ActivityNetQA"],
  fields: ["video_name", "question", "answer"],
  read: (row) => {
    const answers = ["yes", "no"];
    return {
      clip: mp4(`v_${wordsOf("video_name", row)}`),
      question: `${wordsOf("question", row)}? (A) yes; (B) no.`,
      answers,
      right: answers.indexOf(wordsOf("answer", row)),
    };
  },
});
