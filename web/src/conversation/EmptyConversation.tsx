import { lazy, Suspense } from 'react'
import { Fleuron } from '../ui/Fleuron'
import { keep, useKept } from '../ui/kept'

// Most have been here before.
const FirstSteps = lazy(() => import('./FirstSteps').then(({ FirstSteps }) => ({ default: FirstSteps })))

/** A conversation in which nothing was said yet. */
export function EmptyConversation() {
  const isNewcomer = useKept('welcomed') === null
  return (
    <div className="grid min-h-0 flex-1 place-items-center overflow-y-auto px-6 py-8">
      {isNewcomer ? (
        <Suspense>
          <FirstSteps onDone={() => keep('welcomed', 'yes')} />
        </Suspense>
      ) : (
        <div className="max-w-md text-center">
          <Fleuron className="mx-auto mb-6" />
          <p className="font-tale text-reading leading-relaxed text-quiet">
            Say what your table needs, a scene, a name, a rumour; every word of the answer is kept.
          </p>
        </div>
      )}
    </div>
  )
}
