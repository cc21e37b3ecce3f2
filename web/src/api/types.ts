/** The wire's values by the names this page uses. `schema.d.ts` is generated from the server's contract. */
import type { components } from './schema'

type Schemas = components['schemas']

export type Sampling = Required<Schemas['Sampling']>

/** The server leaves nothing out of an answer; its contract only allows it to. */
export type Conversation = Omit<Schemas['Conversation'], 'sampling'> & { sampling: Sampling }
export type Message = Required<Schemas['Message']>
export type PathMessage = Required<Schemas['PathMessage']>
export type ReplyError = Schemas['ReplyError']
/** A named way to reach models: the account's own, or the server's. */
export type Connection = Schemas['ConnectionOut']
export type Connections = Schemas['ConnectionsOut']
/** A server that can be connected to, with the address to begin with. */
export type Preset = Schemas['PresetOut']
export type NewConnection = Schemas['ConnectionIn']
export type Model = Schemas['Model']
/** A model of the server's own machine: one that is there, is being fetched, or could be. */
export type LocalModel = Schemas['ShelvedModel']
export type LocalModels = Schemas['LocalModelsOut']
export type FoundServer = Schemas['FoundOut']
/** What lets somebody in: a browser's session, a token for programs, a login link. */
export type Token = Schemas['TokenOut']
export type Me = Schemas['AccountOut']
export type ConnectionChange = Schemas['ConnectionChange']

export interface Sent extends Omit<Schemas['Sent'], 'message' | 'reply'> {
  message: Message
  reply: Message | null
}

export type ConversationChange = Schemas['ConversationChange']

/** Whether what is said can be kept, as the server sees it. */
export interface Health {
  state: 'available' | 'degraded' | 'unavailable'
  reasons: { code: string; message: string }[]
}

export interface Page<Item> {
  items: Item[]
  next: string | null
}

/** Where a conversation lies. */
export type Shelf = 'active' | 'archived' | 'trash'

export interface Ended {
  ended: Conversation
  conversation: Conversation
}

export interface Cleared {
  cleared: Conversation
  conversation: Conversation
}

export type Generation = Schemas['GenerationOut']
export type Thoughts = Schemas['Thoughts']
export type ShelfSize = Schemas['Holding']

export interface Storage extends Omit<Schemas['Storage'], 'largest' | 'oldest'> {
  largest: Conversation[]
  oldest: Conversation[]
}

export interface Hit extends Omit<Schemas['Finding'], 'conversation'> {
  conversation: Conversation
}

export interface Found extends Omit<Schemas['FindingPage'], 'items'> {
  items: Hit[]
}

export interface TreePage {
  items: Message[]
  next: number | null
}

/** A type, not an interface: it is written into an address key by key. */
export type SearchAsked = {
  q: string
  role?: 'user' | 'assistant' | undefined
  purpose?: Conversation['purpose'] | undefined
  from?: number | undefined
  to?: number | undefined
  archived?: boolean | undefined
  conversation_id?: string | undefined
}
