/** Something a person asked for is tried once; if it fails, the page says why. */
import { ApiError } from '../api/problems'
import type { Following } from './following'
import type { Screen } from './screen'

export type Attempt = (work: () => Promise<void>) => Promise<void>

export function attempting(screen: Screen, following: Following): Attempt {
  return async (work) => {
    screen.change({ notice: null, reference: null })
    try {
      await work()
    } catch (error) {
      // The server knows of a reply that is not on screen.
      if (error instanceof ApiError && error.code === 'generation_running') void following.load()
      screen.tell(error)
    }
  }
}
