import { PanelLeftOpen } from 'lucide-react'
import { IconButton } from '../ui/IconButton'
import { useRailControl } from './RailControl'

/** Brings the rail back where it is folded or a sheet. */
export function OpenRailButton() {
  const rail = useRailControl()
  return rail.isOpen ? null : <IconButton icon={PanelLeftOpen} label="Open the rail" onClick={rail.open} />
}
