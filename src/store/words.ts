/** BM25 over a few texts, computed anew for each search: the oracle of what a full-text index finds. */
import { byScore, type Ranked } from "./rank.ts";

/** Robertson and Zaragoza 2009, in Lucene's form, as LanceDB has it. */
const [K1, B] = [1.2, 0.75];

/** Words in lower case without accents; anything that is no letter or digit parts them. */
function wordsOf(text: string): string[] {
  const plain = text.normalize("NFKD").replaceAll(/\p{M}/gu, "").toLowerCase();
  return plain.match(/[\p{L}\p{N}]+/gu) ?? [];
}

/** Items with any of the words, the best first. */
export function bm25(query: string, texts: ReadonlyMap<string, string>): Ranked[] {
  const documents = [...texts].map(([id, text]) => ({ id, words: wordsOf(text) }));
  const meanLength = documents.reduce((sum, { words }) => sum + words.length, 0) / Math.max(1, documents.length);
  const scores = new Map<string, number>();
  for (const word of new Set(wordsOf(query))) {
    const having = documents.filter(({ words }) => words.includes(word));
    const rarity = Math.log(1 + (documents.length - having.length + 0.5) / (having.length + 0.5));
    for (const { id, words } of having) {
      const count = words.filter((it) => it === word).length;
      const weight = (count * (K1 + 1)) / (count + K1 * (1 - B + (B * words.length) / meanLength));
      scores.set(id, (scores.get(id) ?? 0) + rarity * weight);
    }
  }
  return [...scores].map(([id, score]) => ({ id, score })).sort(byScore);
}
