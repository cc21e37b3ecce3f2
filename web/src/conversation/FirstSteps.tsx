import { Link } from '@tanstack/react-router'
import { type ReactNode, useState } from 'react'
import { type Answering, answeringIn, sentTo } from '../connections/answering'
import { useConnections } from '../connections/queries'
import { Button } from '../ui/Button'
import { Fleuron } from '../ui/Fleuron'
import { Wordmark } from '../ui/Wordmark'
import { Words } from '../ui/Words'

interface Step {
  title: string
  text: ReactNode
}

const here: Step = {
  title: 'Here your tale is kept.',
  text: 'You talk with an AI about your campaign. Each message is on disk before it is answered, and a reply goes on when you close the page.',
}

const begin: Step = {
  title: 'Begin anywhere.',
  text: 'Ask for an innkeeper with a secret, or tell what happened last time. Enter sends, Shift and Enter begin a new line.',
}

const settings = (words: string) => (
  <Link to="/settings" className="text-accent underline underline-offset-3">
    {words}
  </Link>
)

/** Who answers, as it is on this server. */
function answeringStep(answering: Answering | null): Step {
  if (answering !== null && answering.connection !== null && answering.connection.kind !== 'local') {
    const host = sentTo(answering.connection)
    return {
      title: `${answering.connection.name} answers.`,
      text: (
        <>
          {host === null ? 'Nothing leaves the machine of the server.' : `Your messages are sent to ${host}.`}{' '}
          You choose another in {settings('Settings')}, for everything or for one conversation.
        </>
      ),
    }
  }
  const note = answering?.connection?.note
  return {
    title: note ? 'A small model can be added.' : 'A small model is built in.',
    text: note ? (
      <>
        <Words text={note} /> {settings('Open settings')}
      </>
    ) : (
      <>
        It needs no key and nothing leaves your machine. It is good for a first look, and it makes things up:
        connect a better one in {settings('Settings')} whenever you like.
      </>
    ),
  }
}

/** Three short steps for whoever is here for the first time. */
export function FirstSteps({ onDone }: { onDone: () => void }) {
  const [at, setAt] = useState(0)
  const { data: connections } = useConnections()
  const steps = [here, answeringStep(answeringIn(null, connections)), begin]
  const step = steps[at]
  const isLast = at === steps.length - 1
  return (
    <section aria-label="Welcome" className="w-full max-w-md text-center">
      <Wordmark large />
      <Fleuron className="mx-auto my-6" />
      <div aria-live="polite" className="min-h-40">
        <p className="small-caps text-faint">
          {at + 1} of {steps.length}
        </p>
        <h2 className="mt-1 font-tale text-heading">{step?.title}</h2>
        <p className="mt-2.5 font-tale text-reading leading-relaxed text-quiet">{step?.text}</p>
      </div>
      <div className="mt-4 flex items-center justify-center gap-4">
        {!isLast && (
          <Button weight="text" onClick={onDone}>
            Skip
          </Button>
        )}
        <Button weight="strong" onClick={() => (isLast ? onDone() : setAt(at + 1))}>
          {isLast ? 'Start talking' : 'Next'}
        </Button>
      </div>
    </section>
  )
}
