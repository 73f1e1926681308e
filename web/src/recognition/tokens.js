// @ts-check
/** The words of Moonshine's tokens: a file of byte strings, each behind its length. Pure. */

const SPACE = "\u2581";
const SPECIAL = /^<(unk|s|\/s|<ST_\d+>)>$/;

/** @param {ArrayBuffer} file @returns {Uint8Array[]} in the order of their ids */
export function readTokens(file) {
  const bytes = new Uint8Array(file);
  const tokens = [];
  for (let at = 0; at < bytes.length; ) {
    let length = Number(bytes[at++]);
    if (length >= 128) length = Number(bytes[at++]) * 128 + length - 128;
    tokens.push(bytes.subarray(at, at + length));
    at += length;
  }
  return tokens;
}

/** @param {readonly Uint8Array[]} tokens @param {readonly number[]} ids @returns {string} */
export function textOf(tokens, ids) {
  const decoder = new TextDecoder();
  const pieces = ids.map((id) => tokens[id] ?? new Uint8Array(0));
  const kept = pieces.filter((piece) => !SPECIAL.test(decoder.decode(piece)));
  const joined = new Uint8Array(kept.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of kept) {
    joined.set(piece, at);
    at += piece.length;
  }
  return decoder.decode(joined).replaceAll(SPACE, " ").trim();
}
