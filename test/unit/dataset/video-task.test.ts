import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";
import { VIDEO_DATASETS } from "../../../src/dataset/video-datasets.ts";
import { readVideoTask, videoPlaces } from "../../../src/dataset/video-task.ts";
import { InputError } from "../../../src/errors.ts";
import { film, newPlace, problemOf, readRows, root, slots } from "../../support/video-place.ts";

/** A folder with some empty files and folders in it. */
function tree(...paths: readonly string[]): string {
  const folder = mkdtempSync(join(root, "tree-"));
  for (const path of paths) {
    mkdirSync(join(folder, dirname(path)), { recursive: true });
    if (path.endsWith("/")) mkdirSync(join(folder, path));
    else writeFileSync(join(folder, path), "");
  }
  return folder;
}

describe("classification of videos", () => {
  const labels: readonly (readonly [name: string, instruction: string, count: number, label: string])[] = [
    ["K700", "Recognize the category of the video content.", 700, "massaging_person's_head"],
    ["HMDB51", "What actions or objects interactions are the person in the video doing?", 51, "fall_floor"],
    ["UCF101", "What activities or sports are being performed by the person in the video?", 101, "YoYo"],
    ["Breakfast", "Recognize the breakfast type that the person is cooking in the video. ", 10, "salad"],
  ];
  for (const [name, instruction, count, label] of labels)
    test(`${name}: each of its ${count} labels is a candidate`, async () => {
      const place = newPlace();
      const images = film(place, "v1", 8);
      const { queries, targets } = await readRows(name, place, [{ video_id: "v1", pos_text: label, qry_text: null }]);
      assert.equal(new Set(targets.map(({ text }) => text)).size, count);
      assert.equal(targets.length, count);
      const index = targets.findIndex(({ text }) => text === label);
      assert.deepEqual(targets[index], { text: label, images: [] });
      assert.deepEqual(queries, [
        {
          place: "rows.jsonl, row 1",
          query: { text: `${slots(8)}${instruction}`, images },
          candidates: undefined,
          relevance: new Map([[index, 1]]),
          rationale: undefined,
        },
      ]);
    });

  test("SmthSmthV2: a video has candidates of its own, of which a number may be the name", async () => {
    const place = newPlace();
    const images = film(place, "78687", 2);
    const row = {
      video_id: 78687,
      pos_text: "Folding something",
      neg_text: ["Closing something", "Folding something"],
    };
    const { queries, targets } = await readRows("SmthSmthV2", place, [row]);
    assert.deepEqual(
      targets.map(({ text }) => text),
      ["Closing something", "Folding something"],
    );
    assert.deepEqual(queries[0]!.candidates, [0, 1]);
    assert.deepEqual(queries[0]!.relevance, new Map([[1, 1]]));
    const text = "What actions or object interactions are being performed by the person in the video?";
    assert.deepEqual(queries[0]!.query, { text: `${slots(2)}${text}`, images });
  });

  test("SmthSmthV2 takes a thousand rows", async () => {
    const place = newPlace();
    film(place, "1", 1);
    const row = { video_id: "1", pos_text: "a", neg_text: ["a", "b"] };
    const { queries, targets } = await readRows(
      "SmthSmthV2",
      place,
      Array.from({ length: 1001 }, () => row),
    );
    assert.deepEqual([queries.length, targets.length], [1000, 2]);
  });
});

describe("videos to be found", () => {
  const cases: readonly (readonly [name: string, instruction: string, row: object, text: string])[] = [
    [
      "MSR-VTT",
      "Find a video that contains the following visual content:",
      { video_id: "v", video: "v.mp4", caption: "a dog runs" },
      "a dog runs",
    ],
    [
      "MSVD",
      "Find the video snippet that corresponds to the given summary:",
      { video_id: "v", video: "v.avi", caption: ["first", "second"] },
      "first",
    ],
    [
      "DiDeMo",
      "Find a video that includes the following described scenes:",
      { video: "didemo/v.mov", caption: "someone waves" },
      "someone waves",
    ],
    ["VATEX", "Select a video that fits the description provided:", { videoID: "v", enCap: ["one", "two"] }, "one"],
    [
      "YouCook2",
      "Find a video that demonstrates the following action while making a recipe:",
      { id: "v", video_path: "validation/v.webm", sentence: "slice it", segment: [1, 2] },
      "slice it",
    ],
  ];
  for (const [name, instruction, row, text] of cases)
    test(`${name}: the videos of all rows are candidates`, async () => {
      const place = newPlace();
      const images = film(place, "v", 4);
      const others = film(place, "w", 2);
      const other = JSON.parse(
        JSON.stringify(row).replaceAll(/"v(\.\w+)?"|\/v\./g, (id) => id.replace("v", "w")),
      ) as object;
      const { queries, targets } = await readRows(name, place, [row, other, row]);
      const target = "Understand the content of the provided video.";
      assert.deepEqual(targets, [
        { text: `${slots(4)}${target}`, images },
        { text: `${slots(2)}${target}`, images: others },
      ]);
      assert.deepEqual(queries[0]!.query, { text: `${instruction} ${text}`, images: [] });
      assert.deepEqual(
        queries.map(({ candidates, relevance }) => [candidates, ...relevance]),
        [
          [undefined, [0, 1]],
          [undefined, [1, 1]],
          [undefined, [0, 1]],
        ],
      );
    });
});

describe("frames of a video", () => {
  const ROW = { video_id: "v", video: "v.mp4", caption: "c" };

  test("are eight, evenly chosen, in the order of their numbers", async () => {
    const place = newPlace();
    const all = film(place, "v", 64);
    const { targets } = await readRows("MSR-VTT", place, [ROW]);
    assert.deepEqual(
      targets[0]!.images,
      [0, 9, 18, 27, 36, 45, 54, 63].map((i) => all[i]),
    );
  });

  test("are as many as are asked for", async () => {
    const place = newPlace();
    const all = film(place, "v", 64);
    const { targets } = await readRows("MSR-VTT", place, [ROW], { frames: 2 });
    assert.deepEqual(targets[0]!.images, [all[0], all[63]]);
    assert.equal(targets[0]!.text, "<|image_1|>\n<|image_2|>\nUnderstand the content of the provided video.");
  });

  test("that are missing, and of a video that is too, are told with both places", async () => {
    const place = newPlace();
    const { frameRoot, videoRoot, cacheDir } = place;
    const [frames, video] = [join(frameRoot, "v"), join(videoRoot, "v.mp4")];
    const first = await problemOf(readRows("MSR-VTT", place, [ROW]));
    assert.ok(first.endsWith(`row 1: no frames in ${frames}`), first);
    const rows = join(dirname(frameRoot), "rows.jsonl");
    const second = await problemOf(readVideoTask("MSR-VTT", { rows, frameRoot, videoRoot }, { cacheDir }));
    assert.ok(second.endsWith(`row 1: no frames in ${frames}, and no video ${video}`), second);
  });

  test("do not lie outside their folder", async () => {
    const place = newPlace();
    film(place, "../outside", 1);
    assert.match(
      await problemOf(readRows("MSR-VTT", place, [{ ...ROW, video_id: "../outside" }])),
      /row 1: "\.\.\/outside" is not inside /,
    );
  });

  test("in a number out of range are refused", async () => {
    await assert.rejects(readRows("MSR-VTT", newPlace(), [ROW], { frames: 0 }), InputError);
  });

  test("of a file that is no video are not made", async () => {
    const place = newPlace();
    const { frameRoot, videoRoot, cacheDir } = place;
    mkdirSync(videoRoot, { recursive: true });
    writeFileSync(join(videoRoot, "v.mp4"), "no video");
    const rows = join(dirname(frameRoot), "rows.jsonl");
    writeFileSync(rows, JSON.stringify(ROW));
    const path = process.env["PATH"];
    process.env["PATH"] = "";
    try {
      assert.match(
        await problemOf(readVideoTask("MSR-VTT", { rows, frameRoot, videoRoot }, { cacheDir })),
        /rows\.jsonl, row 1: ffprobe is not installed, but .*v\.mp4 is a video\. Install ffmpeg/,
      );
    } finally {
      process.env["PATH"] = path;
    }
  });
});

describe("where a dataset lies in MMEB-V2", () => {
  test("frames are found in each of the archives' layouts", async () => {
    const layouts: readonly (readonly [name: string, rows: string, frames: string])[] = [
      ["K700", "k700.jsonl", "video_cls/K700"],
      ["SmthSmthV2", "ssv2.jsonl", "video_cls/SSv2"],
      ["MSR-VTT", "msr-vtt.jsonl", "video_ret/MSR-VTT"],
      ["MSR-VTT", "msr-vtt.jsonl", "video_ret/data/ziyan/video_retrieval/MSR-VTT/frames"],
      ["EgoSchema", "egoschema.jsonl", "video_qa/video_qa/egoschema"],
      ["Charades-STA", "charades_sta.jsonl", "video_mret/Charades_STA"],
    ];
    for (const [name, rows, frames] of layouts) {
      const folder = tree(`data/${rows}`, `frames/${frames}/`);
      assert.deepEqual(await videoPlaces(name, folder), {
        rows: join(folder, "data", rows),
        frameRoot: join(folder, "frames", frames),
        videoRoot: undefined,
      });
    }
  });

  test("videos do where there are no frames", async () => {
    const folder = tree("data/k700.jsonl", "videos/video_cls/K700/");
    const { frameRoot, videoRoot } = await videoPlaces("K700", folder);
    assert.equal(frameRoot, join(folder, "frames", "video_cls", "K700"));
    assert.equal(videoRoot, join(folder, "videos", "video_cls", "K700"));
  });

  test("what is missing is named", async () => {
    assert.match(await problemOf(videoPlaces("K700", tree("x"))), /^K700: no rows, expected .*data\/k700\.jsonl$/);
    assert.match(
      await problemOf(videoPlaces("K700", tree("data/k700.jsonl"))),
      /^K700: no frames, expected a folder .*frames\/video_cls\/K700\. Unpack the archives of frames\.$/,
    );
  });

  test("a dataset without a reader is named, with those that there are", async () => {
    for (const name of ["MomentSeeker_1k8", "constructor"])
      assert.match(await problemOf(videoPlaces(name, root)), new RegExp(`^no reader for ${name}\\. There are K700, `));
    assert.equal(Object.keys(VIDEO_DATASETS).length, 18);
  });
});
