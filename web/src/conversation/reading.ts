/** Where one reads in a conversation: which of its branches, which stretch of it, which message. */
import type { VirtualItem } from '@tanstack/react-virtual'
import type { Api } from '../api/client'
import { withRetries } from '../api/retrying'
import type { Conversation } from '../api/types'
import type { Attempt } from './attempting'
import type { Following } from './following'
import { newerPage, newestPage, olderPage, stretchAround } from './loading'
import { applyFetched, applyNewer, applyPage, applyStretch } from './pages'
import type { Screen } from './screen'
import { goneToLeaf, goneToTip } from './state'

/** The message at the top of the view, and where every row stood then. */
export interface ReadingPlace {
  id: string
  offset: number
  rows: VirtualItem[]
}

export class Reading {
  /** Where the reader left who was not at the end; kept while he is elsewhere. */
  place: ReadingPlace | null = null

  constructor(
    private readonly id: string,
    private readonly screen: Screen,
    private readonly following: Following,
    private readonly api: Api,
    private readonly attempt: Attempt,
  ) {}

  async loadOlder(): Promise<void> {
    const { view, loadingOlder } = this.screen.read()
    const place = view.older
    if (place === null || loadingOlder) return
    this.screen.change({ loadingOlder: true })
    try {
      const page = await withRetries(() => olderPage(this.api, this.id, place))
      this.screen.state = applyPage(this.screen.state, page)
    } catch (error) {
      this.screen.tell(error, 'Older messages could not be loaded. ')
    }
    this.screen.change({ loadingOlder: false })
  }

  /** The page below a stretch that `jumpTo` brought on screen. */
  async loadNewer(): Promise<void> {
    const { view, loadingNewer } = this.screen.read()
    const place = view.newer
    if (place === null || loadingNewer) return
    this.screen.change({ loadingNewer: true })
    try {
      const page = await withRetries(() => newerPage(this.api, this.id, place))
      this.screen.state = applyNewer(this.screen.state, page)
    } catch (error) {
      this.screen.tell(error, 'Newer messages could not be loaded. ')
    }
    this.screen.change({ loadingNewer: false })
  }

  /** Read the branch of that message; it is the conversation's active one then, on every device. */
  switchTo(messageId: string): Promise<void> {
    return this.goTo(() => this.api.changeConversation(this.id, { leaf_id: messageId }))
  }

  /** To the messages of another branch that `view.newerElsewhere` tells of. */
  async goToNewer(): Promise<void> {
    const { newerElsewhere } = this.screen.view
    if (newerElsewhere !== null) await this.switchTo(newerElsewhere.leafId)
  }

  /** Take a message and all under it out of the tree; `restoreBranch` brings them back. */
  deleteBranch(messageId: string): Promise<void> {
    return this.goTo(() => this.api.deleteBranch(messageId))
  }

  restoreBranch(messageId: string): Promise<void> {
    return this.goTo(() => this.api.restoreBranch(messageId))
  }

  /** From a stretch far above back to the newest messages of the branch. */
  goToEnd(): void {
    this.screen.state = goneToTip(this.screen.state)
    this.screen.change({ target: null })
    this.following.recoverLacking()
  }

  /**
   * Bring a message into sight, wherever it is: on another branch (which is then the active one) or
   * thousands of messages above. `target` of the snapshot says which to scroll to and mark. Whether it
   * is there.
   */
  async jumpTo(messageId: string): Promise<boolean> {
    await this.following.loaded()
    await this.attempt(async () => {
      if (!this.screen.hasMessage(messageId)) await this.fetchAround(messageId)
      if (this.screen.hasMessage(messageId)) this.aim(messageId)
      else this.screen.change({ notice: 'This message is not in the conversation any more.' })
    })
    return this.screen.hasMessage(messageId)
  }

  forgetTarget(): void {
    this.screen.change({ target: null })
  }

  private aim(id: string): void {
    this.screen.change({ target: { id, count: (this.screen.read().target?.count ?? 0) + 1 } })
  }

  private async fetchAround(message: string): Promise<void> {
    const { api, screen } = this
    const around = (leaf: string) => withRetries(() => stretchAround(api, this.id, { message, leaf }))
    const tip = screen.state.tip
    let stretch = tip === null ? null : await around(tip)
    if (stretch === null) {
      const conversation = await withRetries(() => api.changeConversation(this.id, { leaf_id: message }))
      screen.state = applyFetched(screen.state, conversation, null)
      stretch = conversation.leaf_id === null ? null : await around(conversation.leaf_id)
    }
    if (stretch !== null) screen.state = applyStretch(screen.state, stretch)
    screen.change()
  }

  /** Carry out what moves the active leaf, and go along with it. */
  private goTo(move: () => Promise<Conversation>): Promise<void> {
    const { screen } = this
    return this.attempt(async () => {
      const conversation = await withRetries(move)
      const page = await withRetries(() => newestPage(this.api, conversation))
      screen.state = goneToLeaf(applyFetched(screen.state, conversation, page))
      screen.change()
      this.following.recoverLacking()
    })
  }
}
