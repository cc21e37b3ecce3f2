/** Text counted in Unicode characters (code points), as the server's offsets are; JavaScript counts UTF-16 units. */

export function characters(text: string): number {
  let count = text.length
  for (let i = 0; i < text.length - 1; i++) {
    const unit = text.charCodeAt(i)
    if (unit >= 0xd800 && unit <= 0xdbff) {
      const next = text.charCodeAt(i + 1)
      if (next >= 0xdc00 && next <= 0xdfff) {
        count--
        i++
      }
    }
  }
  return count
}

/** `text` without its first `count` characters. */
export function withoutFirst(text: string, count: number): string {
  let units = 0
  for (let left = count; left > 0 && units < text.length; left--) {
    units += (text.codePointAt(units) ?? 0) > 0xffff ? 2 : 1
  }
  return text.slice(units)
}
