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

/** A group for each connection of which something matches every typed word; what was typed can be a model as well. */
export function choiceGroups(
  connections: readonly Connection[],
  modelsOf: (id: string) => readonly Model[] | undefined,
  typed: string,
): ChoiceGroup[] {
  const words = folded(typed).split(/\s+/).filter(Boolean)
  const matches = (text: string) => words.every((word) => folded(text).includes(word))
  return connections.flatMap((connection) => {
    const models = modelsOf(connection.id) ?? []
    const own: ModelChoice = {
      connection,
      model: null,
      words: connection.model === null ? 'As it is set' : `As it is set (${connection.model})`,
    }
    const found = models
      .filter((model) => matches(`${connection.name} ${model.id} ${model.name}`))
      .map((model) => ({ connection, model: model.id, words: model.name }))
    const isNew = typed.trim() !== '' && !models.some((model) => model.id === typed.trim())
    const choices = [
      ...(matches(`${connection.name} ${connection.model ?? ''}`) ? [own] : []),
      ...found.slice(0, SHOWN),
      ...(isNew && (models.length === 0 || found.length === 0)
        ? [{ connection, model: typed.trim(), words: `The model “${typed.trim()}”` }]
        : []),
    ]
    const more = Math.max(0, found.length - SHOWN)
    return choices.length === 0 ? [] : [{ connection, choices, more }]
  })
}
