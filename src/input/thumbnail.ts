/** Small pictures for pages. */
import { decodeImage } from "./image.ts";

/**
 * A WebP of a picture, at most `size` pixels on its longest side; smaller ones are not enlarged.
 * @throws {ImageError} a picture that cannot be read
 */
export async function thumbnailOf(bytes: Uint8Array, size: number): Promise<Uint8Array> {
  const { rgb, width, height } = await decodeImage(bytes);
  const { default: sharp } = await import("sharp");
  return await sharp(rgb, { raw: { width, height, channels: 3 } })
    .resize(size, size, { fit: "inside", withoutEnlargement: true })
    .webp({ quality: 82 })
    .toBuffer();
}
