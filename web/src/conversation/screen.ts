/** What the page of one conversation shows: its messages, the state it is in, and what there is to say. */

import { inWords, referenceOf } from '../api/problems'
import type { Outbox } from '../outbox/outbox'
import { createStore, type Readable, type Store } from '../stores/store'
import { agreed, type Happening, isLoaded, type PageState, turned } from './machine'
import { type ConversationState, nothingKnown } from './state'
import { type View, viewOf } from './view'

export type Phase = 'loading' | 'failed' | 'missing' | 'ready'

export interface Snapshot {
  /** The page's state as the documents name it. */
  page: PageState
  /** What to draw: a conversation of an earlier visit is drawn while it loads afresh. */
  phase: Phase
  problem: string | null
  state: ConversationState
  view: View
  /** Something worth saying once, quietly. */
  notice: string | null
  /** What finds the cause of a failed `problem` or `notice` in the server's log. */
  reference: string | null
  loadingOlder: boolean
  loadingNewer: boolean
  /** The message to bring into sight and to mark; another `count` asks for the same one again. */
  target: { id: string; count: number } | null
}

export type Change = Partial<
  Pick<Snapshot, 'problem' | 'notice' | 'reference' | 'loadingOlder' | 'loadingNewer' | 'target'>
>

/** A notice that goes when no reply is running any more. */
export const STILL_ANSWERING = 'Stored. The AI is still answering the message before.'

const SILENT: Required<Change> = {
  problem: null,
  notice: null,
  reference: null,
  loadingOlder: false,
  loadingNewer: false,
  target: null,
}

export class Screen implements Readable<Snapshot> {
  /** What is known of the conversation; shown with the next `change`. */
  state = nothingKnown
  /** The conversation does not exist any more. */
  isMissing = false
  private page: PageState = 'unmounted'
  private said = SILENT
  private readonly shown: Store<Snapshot>

  constructor(
    private readonly id: string,
    private readonly outbox: Outbox,
  ) {
    this.shown = createStore(this.seen())
  }

  readonly read = (): Snapshot => this.shown.read()

  readonly subscribe = (listener: () => void): (() => void) => this.shown.subscribe(listener)

  get view(): View {
    return this.read().view
  }

  isIn(page: PageState): boolean {
    return this.page === page
  }

  hasMessage(id: string): boolean {
    return this.view.lines.some((line) => line.kind === 'said' && line.id === id)
  }

  turn(happening: Happening): void {
    this.page = turned(this.page, happening)
  }

  change(change: Change = {}): void {
    const wasRunning = this.view.running !== null
    this.said = { ...this.said, ...change }
    let next = this.seen()
    if (wasRunning && next.view.running === null && this.said.notice === STILL_ANSWERING) {
      this.said = { ...this.said, notice: null }
      next = this.seen()
    }
    this.shown.write(next)
  }

  tell(error: unknown, before = ''): void {
    this.change({ notice: before + inWords(error), reference: referenceOf(error) })
  }

  private seen(): Snapshot {
    const mine = this.outbox.entries.read().filter((entry) => entry.conversationId === this.id)
    const view = viewOf(this.state, mine)
    const hasUnsaved = mine.some((entry) => entry.state === 'unsaved' || entry.state === 'refused')
    this.page = agreed(this.page, { isAnswering: view.running !== null, hasUnsaved })
    return { page: this.page, phase: this.phase(), state: this.state, view, ...this.said }
  }

  private phase(): Phase {
    if (this.isMissing) return 'missing'
    if (this.page === 'loading failed') return 'failed'
    const isKnown = this.page === 'unmounted' && this.state.conversation !== null
    return isKnown || isLoaded(this.page) ? 'ready' : 'loading'
  }
}
