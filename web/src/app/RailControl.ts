import { createContext, useContext } from 'react'

interface RailControlValue {
  isOpen: boolean
  open: () => void
}

export const RailControl = createContext<RailControlValue>({ isOpen: true, open: () => {} })

export function useRailControl(): RailControlValue {
  return useContext(RailControl)
}
