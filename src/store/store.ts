/** What a store of vectors is: collections of items that are found by vector, by words, or by both. */

/** Everything that decides what an item's vector is: vectors made otherwise cannot be compared. */
export interface VectorOrigin {
  /** As the user named it. */
  readonly model: string;
  /** Hash of the checkpoint's files. */
  readonly modelHash: string;
  /** Instruction that items were embedded with; "" for none. */
  readonly instruction: string;
  /** Fewest and most pixels an image was resized to; `null` for the checkpoint's own bounds. */
  readonly minPixels: number | null;
  readonly maxPixels: number | null;
  /** Length of a vector. */
  readonly dimension: number;
}

/** A value that can be filtered by. */
export type MetadataValue = string | number | boolean;
export type Metadata = Readonly<Record<string, MetadataValue>>;

/** What is kept of an item beside its vector. */
export interface ItemFields {
  /** One item per id: another with the same replaces it. */
  readonly id: string;
  /** Searched as words: a caption, a file name. */
  readonly text: string;
  /** Where its picture is; "" for none. */
  readonly path: string;
  /** Of what was embedded, so that it is not embedded again. */
  readonly contentHash: string;
  /** Size and time of change of the picture's file when it was read, so that it is not read again; "" for none. */
  readonly stamp: string;
  readonly metadata: Metadata;
}

/** An item with its vector, of length 1. */
export interface StoredItem extends ItemFields {
  readonly vector: Float32Array;
}

/** A condition on one key; several of one object hold together. */
export interface Condition {
  readonly eq?: MetadataValue | undefined;
  readonly ne?: MetadataValue | undefined;
  readonly in?: readonly MetadataValue[] | undefined;
  readonly lt?: number | undefined;
  readonly lte?: number | undefined;
  readonly gt?: number | undefined;
  readonly gte?: number | undefined;
}

/** Conditions by key, all of which hold; a value alone means `eq`. An item without the key fulfils none but `ne`. */
export type Filter = Readonly<Record<string, MetadataValue | Condition>>;

/** What is looked for. */
export interface SearchRequest {
  /** Nearest by cosine. */
  readonly vector?: Float32Array | undefined;
  /** Items whose text has these words, by BM25. With a vector both rankings are joined by reciprocal rank. */
  readonly words?: string | undefined;
  readonly limit: number;
  readonly where?: Filter | undefined;
  /** Scans all vectors rather than an index. @default false */
  readonly exact?: boolean | undefined;
}

/** An item that was found. */
export interface Hit {
  readonly item: ItemFields;
  /** Cosine, BM25, or the sum of reciprocal ranks, by what was asked. */
  readonly score: number;
  /** Cosine with the query, where a vector was asked for and this item was among the nearest. */
  readonly cosine: number | undefined;
}

/** A state of a collection that can be gone back to. */
export interface Version {
  readonly version: number;
  readonly time: Date;
}

/** A named set of items with vectors of one origin. */
export interface Collection {
  readonly name: string;
  readonly origin: VectorOrigin;
  /** How many items. */
  count(where?: Filter): Promise<number>;
  /**
   * Adds items, each in place of the one with its id; all of them or none.
   * @throws {StoreError} vectors of another length or not of length 1, two items with one id, metadata of a type that the
   *   key has not had before
   */
  upsert(items: readonly StoredItem[]): Promise<void>;
  /** Removes those of the ids that are there, and tells how many. */
  delete(ids: readonly string[]): Promise<number>;
  /** Items by id, in the order asked for; `undefined` for one that is not there. */
  get(ids: readonly string[]): Promise<(StoredItem | undefined)[]>;
  /** An item for each of the contents that one has, by `contentHash`. */
  withContent(hashes: readonly string[]): Promise<Map<string, StoredItem>>;
  /** Every item's fields, in no particular order. */
  scan(): AsyncIterable<ItemFields>;
  /** The best first; of equal scores the smaller id. */
  search(request: SearchRequest): Promise<Hit[]>;
  versions(): Promise<Version[]>;
  /** Brings back what the collection held at a version, as a new one. */
  restore(version: number): Promise<void>;
  /** Joins the small files that writes leave and brings up to date what there is of indices: further writes are faster. */
  compact(): Promise<void>;
  /** Compacts, and builds what makes searches fast; nothing that is found changes. */
  optimize(): Promise<void>;
}

/** A place that holds collections. */
export interface Store extends AsyncDisposable {
  /** Names in order. */
  list(): Promise<string[]>;
  /** @throws {StoreError} a name that is taken or no name */
  create(name: string, origin: VectorOrigin): Promise<Collection>;
  /** @throws {AbsentError} no such collection; {StoreError} a table that is no collection */
  open(name: string): Promise<Collection>;
  /** @throws {AbsentError} no such collection */
  drop(name: string): Promise<void>;
}
