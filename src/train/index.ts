export { parseTrainConfig, type DatasetConfig, type TrainConfig } from "./config.ts";
export { readLog, type LogRecord } from "./log.ts";
export { train, type TrainOutcome } from "./loop.ts";
export type { TrainHooks } from "./open-run.ts";
export { reportHtml } from "./report.ts";
export type { LoraOptions } from "./training-model.ts";
