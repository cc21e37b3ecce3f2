import { Fleuron } from '../ui/Fleuron'
import { keep, useKept } from '../ui/kept'
import { FirstSteps } from './FirstSteps'

/** A conversation in which nothing was said yet. */
export function EmptyConversation() {
  const isNewcomer = useKept('welcomed') === null
  return (
    <div className="grid min-h-0 flex-1 place-items-center overflow-y-auto px-6 py-8">
      {isNewcomer ? (
        <FirstSteps onDone={() => keep('welcomed', 'yes')} />
      ) : (
        <div className="max-w-md text-center">
          <Fleuron className="mx-auto mb-6" />
          <p className="font-tale text-lg leading-relaxed text-quiet">
            Say what your table needs, a scene, a name, a rumour; every word of the answer is kept.
          </p>
        </div>
      )}
    </div>
  )
}
