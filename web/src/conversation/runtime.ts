/**
 * One open conversation: what is shown of it (`screen.ts`), what keeps that true to the server
 * (`following.ts`), where one reads in it (`reading.ts`), and what is said and asked for in it.
 *
 * The only place where state, server, live news and outbox meet; the pure functions in `state.ts` and
 * `view.ts` decide what they mean.
 */
import { newId } from '../api/ids'
import { withRetries } from '../api/retrying'
import type { ConversationChange, Message, Sent } from '../api/types'
import { OutboxFull } from '../outbox/limits'
import type { Readable } from '../stores/store'
import { type Attempt, attempting } from './attempting'
import { Following, type Tools } from './following'
import { applyFetched } from './pages'
import { Reading } from './reading'
import { Screen, type Snapshot } from './screen'
import { applyMessage, expecting, goneToTip } from './state'

export class ConversationRuntime {
  readonly shown: Readable<Snapshot>
  readonly reading: Reading
  private readonly screen: Screen
  private readonly following: Following
  private readonly attempt: Attempt

  constructor(
    readonly id: string,
    private readonly tools: Tools,
  ) {
    this.screen = new Screen(id, tools.outbox)
    this.shown = this.screen
    this.following = new Following(id, this.screen, tools)
    this.attempt = attempting(this.screen, this.following)
    this.reading = new Reading(id, this.screen, this.following, tools.api, this.attempt)
  }

  /** Whether it is shown anywhere. */
  get isOpen(): boolean {
    return this.following.isOpen
  }

  /**
   * Load and follow until the returned function is called, by each that has opened it. What was known from
   * an earlier visit shows at once.
   */
  open(): () => void {
    return this.following.open()
  }

  load(): Promise<void> {
    return this.following.load()
  }

  /** Whether it was taken: it then stands on screen. If not, a notice says why and the text stays. */
  send(content: string, parentId = this.screen.view.parentId): boolean {
    try {
      const id = this.tools.outbox.send({ conversationId: this.id, parentId, content })
      this.screen.state = goneToTip(expecting(this.screen.state, id))
      this.screen.change({ notice: null, reference: null })
      this.following.recoverLacking()
      return true
    } catch (error) {
      if (!(error instanceof OutboxFull)) throw error
      this.screen.tell(error)
      return false
    }
  }

  /** Another reply beside this one; on a user's message, a reply to it. */
  regenerate(messageId: string): Promise<void> {
    const id = newId()
    this.screen.state = expecting(this.screen.state, id)
    return this.beginReply(() => this.tools.api.regenerate(messageId, id))
  }

  continueReply(messageId: string): Promise<void> {
    const id = newId()
    return this.beginReply(() => this.tools.api.continueReply(messageId, id))
  }

  async stop(): Promise<void> {
    const { running } = this.screen.view
    if (running !== null) await this.changeMessage(() => this.tools.api.stop(running.generation))
  }

  /** '' is a bookmark without a note, null is none. */
  setBookmark(messageId: string, bookmark: string | null): Promise<void> {
    return this.changeMessage(() => this.tools.api.setBookmark(messageId, bookmark))
  }

  /** A hidden message is shown, and no model is sent it. */
  setHidden(messageId: string, hidden: boolean): Promise<void> {
    return this.changeMessage(() => this.tools.api.setHidden(messageId, hidden))
  }

  changeConversation(change: ConversationChange): Promise<void> {
    return this.attempt(async () => {
      const conversation = await withRetries(() => this.tools.api.changeConversation(this.id, change))
      this.screen.state = applyFetched(this.screen.state, conversation, null)
      this.screen.change()
    })
  }

  forgetNotice(): void {
    this.screen.change({ notice: null, reference: null })
  }

  private beginReply(ask: () => Promise<Sent>): Promise<void> {
    return this.attempt(async () => this.following.stored(await withRetries(ask)))
  }

  private changeMessage(ask: () => Promise<Message>): Promise<void> {
    return this.attempt(async () => {
      const message = await withRetries(ask)
      this.screen.state = applyMessage(this.screen.state, message)
      this.screen.change()
    })
  }
}
