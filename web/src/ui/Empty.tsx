import type { ReactNode } from 'react'
import { Fleuron } from './Fleuron'

/** Nothing is here: what would be, in a sentence. */
export function Empty({ children }: { children: ReactNode }) {
  return (
    <div className="mx-auto max-w-md pt-14 text-center">
      <Fleuron className="mx-auto mb-6" />
      <p className="font-tale text-reading leading-relaxed text-quiet">{children}</p>
    </div>
  )
}
