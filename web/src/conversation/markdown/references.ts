/**
 * Named character references (`&amp;`). Stands in for `decode-named-character-reference`, whose variant for
 * browsers decodes through `innerHTML`, which trusted types forbid. The table is large and rarely needed: it
 * is fetched for the first text that holds a reference.
 */
const REFERENCE = /&[a-z][a-z0-9]{1,31};/i

let table: Readonly<Record<string, string>> | null = null
let coming: Promise<void> | null = null

/** Resolved once the references of `text` can be decoded; null where they can be now. */
export function missingReferences(text: string): Promise<void> | null {
  if (table !== null || !REFERENCE.test(text)) return null
  coming ??= import('character-entities').then(
    (found) => {
      table = found.characterEntities
    },
    () => {
      // The server is away: references stay as they were written until the page is loaded again.
      table = {}
    },
  )
  return coming
}

/** What a reference stands for, false where it is none: the text stays as it was written. */
export function decodeNamedCharacterReference(name: string): string | false {
  return table !== null && Object.hasOwn(table, name) ? (table[name] ?? false) : false
}
