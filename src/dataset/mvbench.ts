/** MVBench's twenty subsets: where each has its rows and its videos. */
import { join } from "node:path";
import { DatasetError } from "../errors.ts";
import { statsOf } from "../stats-of.ts";
import { rowFiles } from "./row-files.ts";
import type { SourceFile } from "./video-row.ts";

/** Subset -> folder of its videos, of frames for `episodic_reasoning`; VLM2Vec's `mvbench_dataset.py`. */
export const MVBENCH_VIDEOS: Readonly<Record<string, string>> = {
  episodic_reasoning: "tvqa/frames_fps3_hq",
  action_sequence: "star/Charades_v1_480",
  action_prediction: "star/Charades_v1_480",
  action_antonym: "ssv2_video",
  fine_grained_action: "Moments_in_Time_Raw/videos",
  unexpected_action: "FunQA_test/test",
  object_existence: "clevrer/video_validation",
  object_interaction: "star/Charades_v1_480",
  object_shuffle: "perception/videos",
  moving_direction: "clevrer/video_validation",
  action_localization: "sta/sta_video",
  scene_transition: "scene_qa/video",
  action_count: "perception/videos",
  moving_count: "clevrer/video_validation",
  moving_attribute: "clevrer/video_validation",
  state_change: "perception/videos",
  fine_grained_pose: "nturgbd",
  character_order: "perception/videos",
  egocentric_navigation: "vlnqa",
  counterfactual_inference: "clevrer/video_validation",
};

/**
 * The files of all subsets in their order: `NAME.json`, there or in `json`, `NAME.jsonl`, or a folder `NAME` of row files.
 * @throws {DatasetError} a subset that is missing: a mean over fewer would be another figure
 */
export async function mvbenchFiles(folder: string): Promise<SourceFile[]> {
  const files: SourceFile[] = [];
  for (const subset of Object.keys(MVBENCH_VIDEOS)) {
    const places = [`${subset}.json`, `${subset}.jsonl`, join("json", `${subset}.json`), subset];
    const path = await firstThere(places.map((place) => join(folder, place)));
    if (path === undefined)
      throw new DatasetError(`${folder}: no rows of MVBench's subset ${subset}. Expected one of ${places.join(", ")}.`);
    const own = path.endsWith(".json") ? [path] : await rowFiles(path);
    files.push(...own.map((file) => ({ file, subset })));
  }
  return files;
}

/** The first of several paths that exists. */
export async function firstThere(paths: readonly string[]): Promise<string | undefined> {
  for (const path of paths) if ((await statsOf(path)) !== undefined) return path;
  return undefined;
}
