/** How many messages may wait, over all tabs. */
export const MOST_WAITING = 100

/** There is no room for another message; its text stays where it was typed. */
export class OutboxFull extends Error {
  override readonly name = 'OutboxFull'

  constructor() {
    super(
      `${MOST_WAITING} messages wait to be saved already. Your text stays here: send it when some of them are.`,
    )
  }
}
