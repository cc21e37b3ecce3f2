/** What the server tells on its streams, as values. */
import type { Conversation, Health, Message } from './types'

export interface TextEvent {
  conversation_id: string
  message_id: string
  generation_id: string
  offset: number
  text: string
}

export type ServerEvent =
  | { type: 'ready'; boot_id: string }
  | { type: 'conversation.changed'; seq: number; conversation: Conversation }
  | {
      type: 'message.changed'
      seq: number
      conversation_id: string
      conversation: Conversation | null
      message: Message
    }
  | ({ type: 'snapshot' } & TextEvent)
  | ({ type: 'delta' } & TextEvent)
  | { type: 'resync'; conversation_id: string }
  | { type: 'conversation.gone'; conversation_id: string }
  | { type: 'health'; health: Health }

type Loose = Record<string, unknown>

function isRecord(value: unknown): value is Loose {
  return typeof value === 'object' && value !== null
}

function isText(data: Loose): boolean {
  return (
    typeof data.conversation_id === 'string' &&
    typeof data.message_id === 'string' &&
    typeof data.offset === 'number' &&
    typeof data.text === 'string'
  )
}

/** The event a frame carries, or null for what this page does not know. */
export function parsedEvent(type: string, raw: string): ServerEvent | null {
  let data: unknown
  try {
    data = JSON.parse(raw)
  } catch {
    return null
  }
  if (!isRecord(data)) return null
  switch (type) {
    case 'ready':
      return { type, boot_id: String(data.boot_id ?? '') }
    case 'conversation.changed':
      if (!isRecord(data.conversation)) return null
      return { type, seq: Number(data.seq), conversation: data.conversation as unknown as Conversation }
    case 'message.changed': {
      if (!isRecord(data.message)) return null
      const message = data.message as unknown as Message
      const conversation = isRecord(data.conversation) ? (data.conversation as unknown as Conversation) : null
      return { type, seq: Number(data.seq), conversation_id: message.conversation_id, conversation, message }
    }
    case 'snapshot':
    case 'delta':
      return isText(data) ? { type, ...(data as unknown as TextEvent) } : null
    case 'resync':
    case 'conversation.gone':
      return { type, conversation_id: String(data.conversation_id ?? '') }
    case 'health':
      return { type, health: { reasons: [], ...data } as unknown as Health }
    default:
      return null
  }
}

/** The conversation an event is about; null where it is about the stream itself. */
export function conversationOf(event: ServerEvent): string | null {
  switch (event.type) {
    case 'ready':
    case 'health':
      return null
    case 'conversation.changed':
      return event.conversation.id
    default:
      return event.conversation_id
  }
}
