/** What can be chosen to answer: every usable connection with its models, as far as they are known. */
import type { Connection, Model } from '../api/types'

/** So many of one connection are shown; some offer several hundred, and typing narrows them. */
const SHOWN = 40

export interface ModelChoice {
  connection: Connection
  /** Null for what the connection is set to. */
  model: string | null
  words: string
}

export interface ChoiceGroup {
  connection: Connection
  choices: ModelChoice[]
  /** So many more match than are shown. */
  more: number
}

const folded = (text: string) => text.normalize('NFKC').toLowerCase()

/** A group for each connection of which something matches every typed word; a name that no list has can be typed. */
export function choiceGroups(
  connections: readonly Connection[],
  modelsOf: (id: string) => readonly Model[] | undefined,
  typed: string,
): ChoiceGroup[] {
  const words = folded(typed).split(/\s+/).filter(Boolean)
  const matches = (text: string) => words.every((word) => folded(text).includes(word))
  const name = typed.trim()
  // A model's name has no blanks, so several words are a search.
  const isName = name !== '' && !/\s/.test(name)
  const matchesAny = connections.some((connection) =>
    modelsOf(connection.id)?.some((model) => matches(`${connection.name} ${model.id} ${model.name}`)),
  )
  return connections.flatMap((connection) => {
    const models = modelsOf(connection.id) ?? []
    const own =
      connection.model !== null && matches(`${connection.name} ${connection.model}`)
        ? [{ connection, model: null, words: `As it is set (${connection.model})` }]
        : []
    const found = models
      .filter((model) => matches(`${connection.name} ${model.id} ${model.name}`))
      .map((model) => ({ connection, model: model.id, words: model.name }))
    const isUnlisted = isName && (models.length === 0 || !matchesAny)
    const choices = [
      ...own,
      ...found.slice(0, SHOWN),
      ...(isUnlisted ? [{ connection, model: name, words: `The model “${name}”` }] : []),
    ]
    const more = Math.max(0, found.length - SHOWN)
    // One whose models are not known yet is told of as well.
    const isShown = choices.length > 0 || (models.length === 0 && matches(connection.name))
    return isShown ? [{ connection, choices, more }] : []
  })
}
