/** The wire's values by the names this page uses. `schema.d.ts` is generated from the server's contract. */
import type { components, operations } from './schema'

type Schemas = components['schemas']

export type Sampling = Schemas['Sampling']
export type Conversation = Schemas['Conversation']
export type Message = Schemas['Message']
export type PathMessage = Schemas['PathMessage']
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
export type ConnectionChange = Schemas['ConnectionChange']
export type Sent = Schemas['Sent']
export type ConversationChange = Schemas['ConversationChange']
/** Whether what is said can be kept, as the server sees it. */
export type Health = Schemas['Health']
export type ConversationPage = Schemas['ConversationPage']
export type Generation = Schemas['GenerationOut']
export type Thoughts = Schemas['Thoughts']
export type ShelfSize = Schemas['Holding']
export type Storage = Schemas['Storage']
export type Hit = Schemas['Finding']

type Query<Operation extends keyof operations> = NonNullable<operations[Operation]['parameters']['query']>

/** Where a conversation lies. */
export type Shelf = NonNullable<Query<'show_list_api_conversations_get'>['state']>
/** What is looked for; the page of it is asked for beside it. */
export type SearchAsked = Omit<Query<'search_api_search_get'>, 'cursor' | 'limit'>
