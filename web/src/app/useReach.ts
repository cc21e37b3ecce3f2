import { useSyncExternalStore } from 'react'
import { currentReach, onReach, type Reach } from '../api/reach'

export function useReach(): Reach {
  return useSyncExternalStore(onReach, currentReach)
}
