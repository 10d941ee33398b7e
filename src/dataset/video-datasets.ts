/**
 * MMEB-V2's video datasets. Fields, instructions and candidates are those of VLM2Vec's `src/data/eval_dataset/*.py`, files
 * and folders those of its `dataset_hflocal_path.py` and `video.yaml`; instructions are its words to the letter, since
 * another wording is another query.
 */
import { basename } from "node:path";
import type { Clip } from "./clip-frames.ts";
import { RowError } from "./row-text.ts";
import { BREAKFAST_LABELS, HMDB51_LABELS, K700_LABELS, UCF101_LABELS } from "./video-labels.ts";
import { MOMENT_SEEKER, momentsOfOneVideo } from "./video-moments.ts";
import { ACTIVITY_NET_QA, EGO_SCHEMA, MVBENCH, NEXT_QA, VIDEO_MME } from "./video-questions.ts";
import {
  firstOf,
  mp4,
  nameOf,
  stemOf,
  TARGET_TEXT,
  textsOf,
  wordsOf,
  type Values,
  type VideoDataset,
} from "./video-row.ts";

/** A video, and its label among all. */
function classification(rows: string, folder: string, labels: readonly string[], instruction: string): VideoDataset {
  return {
    rows,
    folders: [`video_cls/${folder}`],
    fields: ["video_id", "pos_text"],
    candidates: "all",
    labels,
    read: (row) => ({
      query: { text: instruction, clip: mp4(nameOf("video_id", row)) },
      candidates: [{ text: wordsOf("pos_text", row) }],
      right: [0],
    }),
  };
}

/** A dataset of texts with the videos that they describe. */
interface RetrievalDataset {
  readonly rows: string;
  readonly folder: string;
  readonly instruction: string;
  readonly fields: readonly string[];
  readonly text: (row: Values) => string;
  readonly clip: (row: Values) => Clip;
}

/** A text, and its video among all. */
function retrieval({ rows, folder, instruction, fields, text, clip }: RetrievalDataset): VideoDataset {
  return {
    rows,
    folders: [`video_ret/${folder}`, `video_ret/data/ziyan/video_retrieval/${folder}/frames`],
    fields,
    candidates: "all",
    read: (row) => ({
      query: { text: `${instruction} ${text(row)}` },
      candidates: [{ text: TARGET_TEXT, clip: clip(row) }],
      right: [0],
    }),
  };
}

/** `neg_text` has all candidates of a video, the right one too. */
const SMTH_SMTH_V2: VideoDataset = {
  rows: "ssv2.jsonl",
  folders: ["video_cls/SSv2"],
  fields: ["video_id", "pos_text", "neg_text"],
  candidates: "own",
  take: 1000,
  read: (row) => {
    const labels = textsOf("neg_text", row);
    const right = labels.indexOf(wordsOf("pos_text", row));
    if (right < 0) throw new RowError("pos_text is none of neg_text, which has all candidates");
    const text = "What actions or object interactions are being performed by the person in the video?";
    return {
      query: { text, clip: mp4(nameOf("video_id", row)) },
      candidates: labels.map((label) => ({ text: label })),
      right: [right],
    };
  },
};

/** By the benchmark's name of each. */
export const VIDEO_DATASETS: Readonly<Record<string, VideoDataset>> = {
  K700: classification("k700.jsonl", "K700", K700_LABELS, "Recognize the category of the video content."),
  SmthSmthV2: SMTH_SMTH_V2,
  HMDB51: classification(
    "hmdb51.jsonl",
    "HMDB51",
    HMDB51_LABELS,
    "What actions or objects interactions are the person in the video doing?",
  ),
  UCF101: classification(
    "ucf101.jsonl",
    "UCF101",
    UCF101_LABELS,
    "What activities or sports are being performed by the person in the video?",
  ),
  Breakfast: classification(
    "breakfast.jsonl",
    "Breakfast",
    BREAKFAST_LABELS,
    "Recognize the breakfast type that the person is cooking in the video. ",
  ),
  MVBench: MVBENCH,
  "Video-MME": VIDEO_MME,
  NExTQA: NEXT_QA,
  EgoSchema: EGO_SCHEMA,
  ActivityNetQA: ACTIVITY_NET_QA,
  DiDeMo: retrieval({
    rows: "didemo.jsonl",
    folder: "DiDeMo",
    instruction: "Find a video that includes the following described scenes:",
    fields: ["video", "caption"],
    text: (row) => wordsOf("caption", row),
    clip: (row) => {
      const video = basename(wordsOf("video", row));
      return { frames: stemOf(video), video };
    },
  }),
  "MSR-VTT": retrieval({
    rows: "msr-vtt.jsonl",
    folder: "MSR-VTT",
    instruction: "Find a video that contains the following visual content:",
    fields: ["video_id", "video", "caption"],
    text: (row) => wordsOf("caption", row),
    clip: (row) => ({ frames: nameOf("video_id", row), video: wordsOf("video", row) }),
  }),
  MSVD: retrieval({
    rows: "msvd.jsonl",
    folder: "MSVD",
    instruction: "Find the video snippet that corresponds to the given summary:",
    fields: ["video_id", "video", "caption"],
    text: (row) => firstOf("caption", row),
    clip: (row) => ({ frames: nameOf("video_id", row), video: wordsOf("video", row) }),
  }),
  VATEX: retrieval({
    rows: "vatex.jsonl",
    folder: "VATEX",
    instruction: "Select a video that fits the description provided:",
    fields: ["videoID", "enCap"],
    text: (row) => firstOf("enCap", row),
    clip: (row) => mp4(wordsOf("videoID", row)),
  }),
  YouCook2: retrieval({
    rows: "youcook2-val.jsonl",
    folder: "YouCook2",
    instruction: "Find a video that demonstrates the following action while making a recipe:",
    fields: ["id", "video_path", "sentence"],
    text: (row) => wordsOf("sentence", row),
    clip: (row) => ({ frames: nameOf("id", row), video: basename(wordsOf("video_path", row)) }),
  }),
  QVHighlight: momentsOfOneVideo("qvhighlight.jsonl", ["QVHighlight"]),
  "Charades-STA": momentsOfOneVideo("charades_sta.jsonl", ["Charades-STA", "Charades_STA"]),
  MomentSeeker: MOMENT_SEEKER,
};
