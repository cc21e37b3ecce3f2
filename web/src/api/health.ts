/** Whether the server can keep what is said, as it tells itself. */
import { createStore } from '../stores/store'
import type { Health } from './types'

const WELL: Health = { state: 'available', reasons: [] }

export const health = createStore(WELL, (next, now) => JSON.stringify(next) === JSON.stringify(now))
