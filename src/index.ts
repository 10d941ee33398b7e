export { Embedder, type CallOptions } from "./embed/embedder.ts";
export { DEFAULT_CLOSING_PROMPT } from "./embed/ending.ts";
export type {
  EmbedItem,
  EmbedOutcome,
  EmbedResult,
  ImageSource,
  LoadOptions,
  LoadProgress,
  ModelInfo,
  ReasonOptions,
  Timings,
  WeightFormat,
} from "./embed/types.ts";
export {
  AbsentError,
  CheckpointError,
  DatasetError,
  EngineError,
  HubError,
  ImageError,
  InputError,
  RationaleError,
  RgeError,
  RuntimeError,
  ShapeError,
  StoreError,
  StoreFailure,
  TrainingError,
} from "./errors.ts";
