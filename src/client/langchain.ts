/** LangChain.js: embeddings of a server's model, and its collections as vector stores. */
import { Document } from "@langchain/core/documents";
import { Embeddings, type EmbeddingsParams } from "@langchain/core/embeddings";
import { VectorStore } from "@langchain/core/vectorstores";
import { InputError } from "../errors.ts";
import type { Filter, Metadata } from "../store/store.ts";
import { askServer, type EmbeddingsAnswer, type ServerAddress } from "./http.ts";

/** Texts of one request. */
const AT_A_TIME = 256;

/** Embeds documents directly and queries after a rationale. */
export class RgeEmbeddings extends Embeddings {
  readonly #address: ServerAddress;
  readonly #model: string;

  /** @param params.model as the server lists it, without `:query` */
  constructor({ model, ...params }: ServerAddress & EmbeddingsParams & { readonly model: string }) {
    super(params);
    this.#address = params;
    this.#model = model;
  }

  /** @throws {EngineError} a server that cannot be reached or refuses */
  async embedDocuments(documents: string[]): Promise<number[][]> {
    const vectors: number[][] = [];
    for (let at = 0; at < documents.length; at += AT_A_TIME)
      vectors.push(...(await this.#embed(this.#model, documents.slice(at, at + AT_A_TIME))));
    return vectors;
  }

  /** @throws {EngineError} a server that cannot be reached or refuses */
  async embedQuery(document: string): Promise<number[]> {
    return (await this.#embed(`${this.#model}:query`, [document]))[0]!;
  }

  async #embed(model: string, input: readonly string[]): Promise<number[][]> {
    return await this.caller.call(async () => {
      const { data } = await askServer<EmbeddingsAnswer>(this.#address, "/v1/embeddings", { model, input });
      return data.map(({ embedding }) => embedding);
    });
  }
}

/** A hit as the server tells it. */
interface ServerHit {
  readonly item: { readonly id: string; readonly text: string; readonly metadata: Metadata };
  readonly score: number;
}

/**
 * A collection of a server. The server embeds: `similaritySearch` sends the query itself, so that it is reasoned about
 * there; vectors made elsewhere are not taken.
 */
export class RgeVectorStore extends VectorStore {
  declare FilterType: Filter;
  readonly #address: ServerAddress;
  readonly #collection: string;
  readonly #mode: "direct" | "reason" | "auto";

  /** @param params.mode whether queries are reasoned about. @default "auto" */
  constructor(
    embeddings: RgeEmbeddings,
    {
      collection,
      mode = "auto",
      ...address
    }: ServerAddress & { readonly collection: string; readonly mode?: "direct" | "reason" | "auto" },
  ) {
    super(embeddings, {});
    this.#address = address;
    this.#collection = collection;
    this.#mode = mode;
  }

  _vectorstoreType(): string {
    return "rge";
  }

  /** Adds documents under their ids, or ids of their own; returns the ids. */
  override async addDocuments(documents: Document[]): Promise<string[]> {
    const items = documents.map(({ id, pageContent, metadata }) => ({
      id: id ?? crypto.randomUUID(),
      text: pageContent,
      metadata: metadata as Metadata,
    }));
    for (let at = 0; at < items.length; at += AT_A_TIME) {
      const { failed } = await askServer<{ failed: { id: string; reason: string }[] }>(
        this.#address,
        `${this.#path()}/items`,
        {
          items: items.slice(at, at + AT_A_TIME),
        },
      );
      if (failed.length > 0)
        throw new InputError(
          `${failed.length} documents were not added; the first, ${failed[0]!.id}: ${failed[0]!.reason}`,
        );
    }
    return items.map(({ id }) => id);
  }

  override async addVectors(): Promise<never> {
    throw new InputError("the server embeds what it holds: use addDocuments");
  }

  override async similaritySearchVectorWithScore(): Promise<never> {
    throw new InputError("the server embeds queries: use similaritySearch or similaritySearchWithScore");
  }

  override async similaritySearch(query: string, k = 4, filter?: Filter): Promise<Document[]> {
    return (await this.similaritySearchWithScore(query, k, filter)).map(([document]) => document);
  }

  override async similaritySearchWithScore(query: string, k = 4, filter?: Filter): Promise<[Document, number][]> {
    const { hits } = await askServer<{ hits: ServerHit[] }>(this.#address, `${this.#path()}/search`, {
      text: query,
      limit: k,
      mode: this.#mode,
      ...(filter && { where: filter }),
    });
    return hits.map(({ item: { id, text, metadata }, score }) => [
      new Document({ id, pageContent: text, metadata: { ...metadata } }),
      score,
    ]);
  }

  #path(): string {
    return `/v1/collections/${encodeURIComponent(this.#collection)}`;
  }
}
