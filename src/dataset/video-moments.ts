/** Moments of videos to be found among clips, as VLM2Vec's readers have them. */
import type { Clip } from "./clip-frames.ts";
import { listOf, RowError, textOf } from "./row-text.ts";
import { stemOf, TARGET_TEXT, wordsOf, type ClipSide, type Values, type VideoDataset } from "./video-row.ts";

const IN_VIDEO = "Find the clip that corresponds to the described scene in the given video:";
const BY_TEXT = "Find the clip that corresponds to the given text:";
const BY_PICTURE = "Select the video clip that aligns with the given text and image:";
const BY_SEGMENT = "Find the clip that corresponds to the given sentence and video segment:";

/**
 * A scene described, and its video: the clips lie as folders of frames beside the video's own, which is `query`; those
 * whose names begin with `positive` are right.
 */
export function momentsOfOneVideo(rows: string, folders: readonly string[]): VideoDataset {
  return {
    rows,
    folders: folders.map((folder) => `video_mret/${folder}`),
    fields: ["query", "video_path"],
    candidates: "own",
    read: async (row, { clipsIn }) => {
      const video = stemOf(wordsOf("video_path", row));
      const clips = (await clipsIn(video)).filter((name) => name !== "query");
      const right = [...clips.keys()].filter((i) => clips[i]!.startsWith("positive"));
      if (right.length === 0) throw new RowError(`no folder that begins with positive in the frames of ${video}`);
      const clipOf = (name: string): Clip => ({ frames: `${video}/${name}`, video: undefined });
      return {
        query: { text: `${IN_VIDEO} ${wordsOf("query", row)}`, clip: clipOf("query") },
        candidates: clips.map((name) => ({ text: TARGET_TEXT, clip: clipOf(name) })),
        right,
      };
    },
  };
}

/** MomentSeeker: a text, alone or with a picture or a segment of a video; its clips stand in the row. */
export const MOMENT_SEEKER: VideoDataset = {
  rows: "momentseeker_1k6.jsonl",
  folders: ["video_mret/MomentSeeker"],
  fields: ["query", "input_frames", "positive_frames", "negative_frames"],
  candidates: "own",
  read: (row) => {
    const [positive, negative] = [segmentsOf("positive_frames", row), segmentsOf("negative_frames", row)];
    if (positive.length === 0) throw new RowError("no positive_frames");
    const query = seekerQuery(wordsOf("query", row), textOf("input_frames", row["input_frames"]));
    return { query, candidates: [...positive, ...negative], right: [...positive.keys()] };
  },
};

function seekerQuery(text: string, shown: string): ClipSide {
  if (shown.endsWith(".mp4")) return { text: `${BY_SEGMENT} ${text}`, clip: segmentOf(shown) };
  if (shown.endsWith(".jpg")) return { text: `${BY_PICTURE} ${text}`, picture: `query_${shown}` };
  return { text: `${BY_TEXT} ${text}` };
}

function segmentsOf(field: string, row: Values): ClipSide[] {
  return listOf(row[field]).map((entry) => {
    if (typeof entry !== "object" || entry === null) throw new RowError(`${field} has an entry that is no object`);
    const clip = segmentOf(wordsOf("output_path", entry as Values));
    return { text: "Understand the content of the provided video clip.", clip };
  });
}

/** `movie/7.mp4` has its frames in `video_frames/movie_7`. */
function segmentOf(path: string): Clip {
  return { frames: `video_frames/${path.split(".mp4")[0]!.replaceAll("/", "_")}`, video: path };
}
