/** Who answers in a conversation: its own choice, else the account's. */
import type { Conversation, Provider, Providers } from '../api/types'

const SMALL_MODEL = 'smollm2-135m-instruct'

export interface Answering {
  provider: Provider
  model: string | null
  /** Chosen for this conversation alone. */
  isOwn: boolean
}

export function answeringIn(
  conversation: Conversation | null,
  providers: Providers | undefined,
): Answering | null {
  if (providers === undefined) return null
  const name = conversation?.provider ?? providers.chosen.provider
  const provider = providers.items.find((each) => each.name === name)
  if (provider === undefined) return null
  const chosen = name === providers.chosen.provider ? providers.chosen.model : null
  return {
    provider,
    model: conversation?.model ?? chosen ?? provider.model,
    isOwn: Boolean(conversation?.provider ?? conversation?.model),
  }
}

/** Whether the small built-in model answers, which is there for a first look. */
export function isSmallModel({ provider, model }: Answering): boolean {
  return provider.name === 'local' && model === SMALL_MODEL
}

/** A provider's name without what its title explains in brackets. */
export function shortTitle(provider: Provider): string {
  return provider.title.replace(/\s*[(,].*$/, '')
}

/** Where messages go when this provider answers; null while they stay on the machine of the server. */
export function sentTo(provider: Provider): string | null {
  if (!provider.remote) return null
  try {
    return new URL(provider.base_url ?? '').host
  } catch {
    return provider.title
  }
}
