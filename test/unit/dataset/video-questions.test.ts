import assert from "node:assert/strict";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";
import { parquetWriteFile } from "hyparquet-writer";
import { readVideoTask } from "../../../src/dataset/video-task.ts";
import { film, newPlace, problemOf, readRows, slots, type Place } from "../../support/video-place.ts";

const QUESTION =
  "Given a video and a question, select the most accurate answer from the provided candidates. " +
  "Return only the exact text of your chosen answer. Question:  ";

describe("questions about videos", () => {
  interface Case {
    readonly name: string;
    readonly folder: string;
    readonly row: object;
    readonly text: string;
    readonly answers: readonly string[];
    readonly right: number;
  }
  const cases: readonly Case[] = [
    {
      name: "Video-MME",
      folder: "fFjv93ACGo8",
      row: {
        videoID: "fFjv93ACGo8",
        question: "When was it?",
        options: ["A. In 1 B.C.", "B. Later.", "C. Never.", "D. 3. May."],
        answer: "C",
      },
      text: "When was it?\nA. In 1 B.C.\nB. Later.\nC. Never.\nD. 3. May.",
      answers: ["In 1 B.C", "Later", "Never", "3. May"],
      right: 2,
    },
    {
      name: "NExTQA",
      folder: "4740931975",
      row: { video: 4740931975, question: "why", answer: 3, a0: "a", a1: "b", a2: "c", a3: "d", a4: "e", qid: 0 },
      text: "why\nOptions:\n(A) a\n(B) b\n(C) c\n(D) d\n(E) e",
      answers: ["a", "b", "c", "d", "e"],
      right: 3,
    },
    {
      name: "EgoSchema",
      folder: "001934bb",
      row: { video_idx: "001934bb", question: "What is done?", answer: "1", option: ["A. C cooks.", "B. C reads."] },
      text: "What is done?A. C cooks. B. C reads.",
      answers: ["C cooks", "C reads"],
      right: 1,
    },
    {
      name: "ActivityNetQA",
      folder: "v_1QIUV7WYKXg",
      row: { video_name: "1QIUV7WYKXg", question: "is the athlete wearing trousers", answer: "no", question_id: "1" },
      text: "is the athlete wearing trousers? (A) yes; (B) no.",
      answers: ["yes", "no"],
      right: 1,
    },
  ];
  for (const { name, folder, row, text, answers, right } of cases)
    test(name, async () => {
      const place = newPlace();
      const images = film(place, folder, 3);
      const { queries, targets } = await readRows(name, place, [row]);
      assert.deepEqual(queries[0]!.query, { text: `${slots(3)}${QUESTION}${text}`, images });
      assert.deepEqual(
        targets,
        answers.map((answer) => ({ text: answer, images: [] })),
      );
      assert.deepEqual(queries[0]!.candidates, [...answers.keys()]);
      assert.deepEqual(queries[0]!.relevance, new Map([[right, 1]]));
    });

  test("share targets, and an answer that stands twice is one candidate", async () => {
    const place = newPlace();
    film(place, "1", 1);
    const row = { video: 1, question: "q", a0: "x", a1: "y", a2: "x", a3: "z", a4: "w" };
    const rows = [
      { ...row, answer: 2 },
      { ...row, a0: "w", answer: 0 },
    ];
    const { queries, targets } = await readRows("NExTQA", place, rows);
    assert.deepEqual(
      targets.map(({ text }) => text),
      ["x", "y", "z", "w"],
    );
    assert.deepEqual(
      queries.map(({ candidates }) => candidates),
      [
        [0, 1, 2, 3],
        [3, 1, 0, 2],
      ],
    );
    assert.deepEqual(
      queries.map(({ relevance }) => [...relevance]),
      [[[0, 1]], [[0, 1]]],
    );
  });

  test("with an answer that is none of the options are refused", async () => {
    const place = newPlace();
    film(place, "v", 1);
    const row = { videoID: "v", question: "q", options: ["A. a", "B. b"], answer: "C" };
    assert.match(
      await problemOf(readRows("Video-MME", place, [row])),
      /rows\.jsonl, row 1: answer "C" is none of the 2 that there are$/,
    );
  });
});

describe("MVBench", () => {
  const SUBSETS = (
    "episodic_reasoning action_sequence action_prediction action_antonym fine_grained_action unexpected_action " +
    "object_existence object_interaction object_shuffle moving_direction action_localization scene_transition " +
    "action_count moving_count moving_attribute state_change fine_grained_pose character_order " +
    "egocentric_navigation counterfactual_inference"
  ).split(" ");
  const ROW = { video: "a.mp4", question: "How many?", candidates: ["3", "4"], answer: "4", start: 1.5 };

  /** All subsets as lists in JSON, with frames of each. */
  function mvbench(): Place & { readonly rows: string } {
    const place = newPlace();
    const rows = join(dirname(place.frameRoot), "mvbench");
    mkdirSync(rows);
    for (const subset of SUBSETS) {
      writeFileSync(join(rows, `${subset}.json`), JSON.stringify([ROW]));
      film(place, `${subset}/a.mp4`, 1);
    }
    return { ...place, rows };
  }

  test("has its twenty subsets in lists of JSON, and answers with their letters", async () => {
    const { rows, frameRoot, cacheDir } = mvbench();
    const { queries, targets } = await readVideoTask("MVBench", { rows, frameRoot }, { cacheDir });
    assert.equal(queries.length, 20);
    assert.deepEqual(
      targets.map(({ text }) => text),
      ["(A) 3", "(B) 4"],
    );
    const { place, query, relevance } = queries[1]!;
    assert.equal(place, "action_sequence.json, row 1");
    assert.deepEqual(query, {
      text: `<|image_1|>\n${QUESTION}How many?\nOptions:\n(A) 3\n(B) 4`,
      images: [join(frameRoot, "action_sequence", "a.mp4", "frame_1.jpg")],
    });
    assert.deepEqual(relevance, new Map([[1, 1]]));
  });

  test("has frames that lie where its videos would", async () => {
    const { rows, frameRoot, videoRoot, cacheDir } = mvbench();
    rmSync(join(frameRoot, "episodic_reasoning"), { recursive: true });
    const folder = join(videoRoot, "tvqa", "frames_fps3_hq", "a.mp4");
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "00001.jpg"), "");
    const { queries } = await readVideoTask("MVBench", { rows, frameRoot, videoRoot }, { cacheDir });
    assert.deepEqual(queries[0]!.query.images, [join(folder, "00001.jpg")]);
  });

  test("is read from folders of parquet as well", async () => {
    const { rows, frameRoot, cacheDir } = mvbench();
    rmSync(join(rows, "action_count.json"));
    mkdirSync(join(rows, "action_count"));
    const columns = { video: ["a.mp4"], question: ["Which?"], answer: ["x"] };
    parquetWriteFile({
      filename: join(rows, "action_count", "train-00000-of-00001.parquet"),
      schema: [
        { name: "root", num_children: 4 },
        ...Object.keys(columns).map((name) => ({ name, type: "BYTE_ARRAY" as const, converted_type: "UTF8" as const })),
        { name: "candidates", num_children: 1, converted_type: "LIST", repetition_type: "OPTIONAL" },
        { name: "list", num_children: 1, repetition_type: "REPEATED" },
        { name: "element", type: "BYTE_ARRAY", converted_type: "UTF8", repetition_type: "OPTIONAL" },
      ],
      columnData: [
        ...Object.entries(columns).map(([name, data]) => ({ name, data })),
        { name: "candidates", data: [["x", "y"]] },
      ],
    });
    const { queries, targets } = await readVideoTask("MVBench", { rows, frameRoot }, { cacheDir });
    assert.equal(queries.length, 20);
    assert.ok(targets.some(({ text }) => text === "(A) x"));
  });

  test("with a subset missing is refused", async () => {
    const { rows, frameRoot, cacheDir } = mvbench();
    rmSync(join(rows, "state_change.json"));
    assert.match(
      await problemOf(readVideoTask("MVBench", { rows, frameRoot }, { cacheDir })),
      /no rows of MVBench's subset state_change\. Expected one of state_change\.json, /,
    );
  });

  test("with a file that is no list is refused", async () => {
    const { rows, frameRoot, cacheDir } = mvbench();
    writeFileSync(join(rows, "state_change.json"), "{}");
    assert.match(
      await problemOf(readVideoTask("MVBench", { rows, frameRoot }, { cacheDir })),
      /state_change\.json: expected a JSON list of rows$/,
    );
  });
});

describe("moments of videos", () => {
  for (const name of ["QVHighlight", "Charades-STA"])
    test(`${name}: the clips lie beside the video`, async () => {
      const place = newPlace();
      const images = film(place, "v/query", 3);
      const clips = ["negative_2", "negative_10", "positive"].map((clip) => film(place, `v/${clip}`, 1));
      writeFileSync(join(place.frameRoot, "v", "notes.txt"), "");
      const row = { query: "a man waves", video_path: "/data/videos/v.mp4", clips_dir_path: "clips/v" };
      const { queries, targets } = await readRows(name, place, [row]);
      assert.deepEqual(
        targets,
        clips.map((clip) => ({ text: `<|image_1|>\nUnderstand the content of the provided video.`, images: clip })),
      );
      const instruction = "Find the clip that corresponds to the described scene in the given video:";
      assert.deepEqual(queries[0]!.query, { text: `${slots(3)}${instruction} a man waves`, images });
      assert.deepEqual(queries[0]!.candidates, [0, 1, 2]);
      assert.deepEqual(queries[0]!.relevance, new Map([[2, 1]]));
    });

  test("without a right clip are refused", async () => {
    const place = newPlace();
    film(place, "v/query", 1);
    film(place, "v/negative_1", 1);
    assert.match(
      await problemOf(readRows("QVHighlight", place, [{ query: "q", video_path: "v.mp4" }])),
      /row 1: no folder that begins with positive in the frames of v$/,
    );
  });

  test("MomentSeeker: a text stands alone, with a picture, or with a segment", async () => {
    const place = newPlace();
    const segment = film(place, "video_frames/movie101_7", 2);
    const [right, wrong] = ["right", "wrong"].map((clip) => film(place, `video_frames/movie101_${clip}`, 1));
    const picture = join(place.frameRoot, "query_12.jpg");
    writeFileSync(picture, "");
    const clips = {
      positive_frames: [{ output_path: "movie101/right.mp4", start: 1 }],
      negative_frames: [{ output_path: "movie101/wrong.mp4" }],
    };
    const rows = ["", "12.jpg", "movie101/7.mp4"].map((input_frames) => ({
      query: "he leaves",
      input_frames,
      ...clips,
    }));
    const { queries, targets } = await readRows("MomentSeeker", place, rows);
    assert.deepEqual(
      targets,
      [right!, wrong!].map((images) => ({
        text: "<|image_1|>\nUnderstand the content of the provided video clip.",
        images,
      })),
    );
    assert.deepEqual(
      queries.map(({ query }) => query),
      [
        { text: "Find the clip that corresponds to the given text: he leaves", images: [] },
        {
          text: "<|image_1|>\nSelect the video clip that aligns with the given text and image: he leaves",
          images: [picture],
        },
        {
          text: `${slots(2)}Find the clip that corresponds to the given sentence and video segment: he leaves`,
          images: segment,
        },
      ],
    );
    for (const { candidates, relevance } of queries)
      assert.deepEqual([candidates, relevance], [[0, 1], new Map([[0, 1]])]);
  });
});
