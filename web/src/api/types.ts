/** The wire's values by the names this page uses. `schema.d.ts` is generated from the server's contract. */
import type { components } from './schema'

type Schemas = components['schemas']

export type Conversation = Schemas['Conversation']
/** The server leaves nothing out of an answer; its contract only allows it to. */
export type Message = Required<Schemas['Message']>
export type PathMessage = Required<Schemas['PathMessage']>
export type ReplyError = Schemas['ReplyError']
export type Provider = Schemas['ProviderOut']
export type Providers = Schemas['ProvidersOut']
export type Model = Schemas['Model']
export type Me = Schemas['AccountOut']
export type ProviderChange = Schemas['ProviderChange']

export interface Sent extends Omit<Schemas['Sent'], 'message' | 'reply'> {
  message: Message
  reply: Message | null
}

/** Providers are named as the list of them does. */
export type ConversationChange = Omit<Schemas['ConversationChange'], 'provider'> & {
  provider?: string | null
}

export interface Page<Item> {
  items: Item[]
  next: string | null
}
