/** A number of tokens as people write it: `32,000`, `32 000`, `32k`. Null for none, undefined for what is no number. */
export function readTokens(text: string): number | null | undefined {
  const typed = text.trim().replace(/[\s,.'’_](?=\d{3}(\D|$))/g, '')
  if (typed === '') return null
  const found = /^(\d{1,9})\s*(k?)$/i.exec(typed)
  if (found === null) return undefined
  const count = Number(found[1]) * (found[2] ? 1000 : 1)
  return count >= 256 && count <= 100_000_000 ? count : undefined
}
