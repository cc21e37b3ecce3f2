import { useEffect, useRef, useState } from 'react'
import { isRunning } from './state'
import type { View } from './view'

const ENDS = {
  complete: 'Reply finished.',
  stopped: 'Reply stopped.',
  interrupted: 'Stream interrupted.',
  failed: 'No answer.',
} as const

/** Tells a screen reader of a reply when it is whole, not word by word. */
export function FinishedReplies({ view }: { view: View }) {
  const [told, setTold] = useState('')
  const growing = useRef(new Set<string>())

  useEffect(() => {
    for (const line of view.lines) {
      if (line.kind !== 'said' || line.message.role !== 'assistant') continue
      const { status } = line.message
      if (isRunning(line.message)) growing.current.add(line.id)
      else if (growing.current.delete(line.id) && status in ENDS) {
        setTold(`${ENDS[status as keyof typeof ENDS]} ${line.text}`)
      }
    }
  }, [view])

  return (
    <div aria-live="polite" className="sr-only">
      {told}
    </div>
  )
}
