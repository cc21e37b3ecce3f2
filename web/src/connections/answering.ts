/** What answers in a conversation: its own choice, else the account's. */
import type { Connection, Connections, Conversation } from '../api/types'

const SMALL_MODEL = 'smollm2-135m-instruct'

export interface Answering {
  /** Null where the connection that was chosen has been removed. */
  connection: Connection | null
  model: string | null
}

export function answeringIn(
  conversation: Conversation | null,
  connections: Connections | undefined,
): Answering | null {
  if (connections === undefined) return null
  const { chosen, items } = connections
  const id = conversation?.connection_id ?? chosen.connection_id
  const connection = items.find((each) => each.id === id) ?? null
  const usual = id === chosen.connection_id ? chosen.model : null
  return { connection, model: conversation?.model ?? usual ?? connection?.model ?? null }
}

/** Whether the small built-in model answers, which is there for a first look. */
export function isSmallModel({ connection, model }: Answering): boolean {
  return connection?.kind === 'local' && model === SMALL_MODEL
}

/** Where messages go through this connection; null while they stay on the machine of the server. */
export function sentTo(connection: Connection): string | null {
  if (!connection.remote) return null
  try {
    return new URL(connection.base_url ?? '').host
  } catch {
    return connection.name
  }
}
