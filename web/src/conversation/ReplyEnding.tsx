import { Ban, CircleStop, Scissors, ShieldAlert, TriangleAlert, Unplug } from 'lucide-react'
import type { ReactNode } from 'react'
import type { Message } from '../api/types'
import { Button } from '../ui/Button'
import { Words } from '../ui/Words'
import { useTalk } from './TalkContext'

interface EndingProps {
  icon: typeof CircleStop
  children: ReactNode
}

function Ending({ icon: Icon, children }: EndingProps) {
  return (
    <div className="mt-3 flex flex-wrap items-center gap-x-3 gap-y-2 border-t border-rule pt-3 text-label text-quiet">
      <Icon size={17} strokeWidth={1.75} className="shrink-0 text-accent" aria-hidden="true" />
      {children}
    </div>
  )
}

const DIFFERENTLY = 'Word your message differently, or choose another model.'

/** Whether a reply is all that the model had to say. */
export function isWhole({ status, finish_reason: reason }: Message): boolean {
  return status === 'complete' && (reason === null || reason === 'stop')
}

/** How a reply ended that is not all that the model had to say, and what can be done. */
export function ReplyEnding({ message }: { message: Message }) {
  const { runtime, mayAsk } = useTalk()
  const hasText = message.content !== ''
  const goOn = hasText && (
    <Button disabled={!mayAsk} onClick={() => void runtime.continueReply(message.id)}>
      Continue
    </Button>
  )
  const again = (word: string) => (
    <Button disabled={!mayAsk} onClick={() => void runtime.regenerate(message.id)}>
      {word}
    </Button>
  )
  switch (message.status) {
    case 'interrupted':
      return (
        <Ending icon={Unplug}>
          <span className="font-semibold text-ink">[Stream interrupted]</span>
          <span className="flex gap-2">
            {goOn}
            {again('Regenerate')}
          </span>
        </Ending>
      )
    case 'stopped':
      return (
        <Ending icon={CircleStop}>
          <span>Stopped by you.</span>
          <span className="flex gap-2">
            {goOn}
            {again('Regenerate')}
          </span>
        </Ending>
      )
    case 'failed': {
      const wait = message.error?.retry_after
      return (
        <Ending icon={TriangleAlert}>
          <span className="min-w-0 basis-64 grow">
            <span className="font-semibold text-ink">{hasText ? 'Broken off.' : 'No answer.'}</span>{' '}
            <Words text={message.error?.message ?? 'The model gave no reason.'} />
            {wait ? ` It asks to wait ${Math.ceil(wait)} seconds.` : ''}
          </span>
          <span className="flex gap-2">
            {again('Try again')}
            {goOn}
          </span>
        </Ending>
      )
    }
    case 'complete':
      switch (message.finish_reason) {
        case 'length':
          return (
            <Ending icon={Scissors}>
              <span className="font-semibold text-ink">Cut at the length limit.</span>
              <span className="flex gap-2">
                {goOn}
                {again('Regenerate')}
              </span>
            </Ending>
          )
        case 'filtered':
          return (
            <Ending icon={ShieldAlert}>
              <span className="min-w-0 basis-64 grow">
                <span className="font-semibold text-ink">Stopped by the provider’s filter.</span>{' '}
                {DIFFERENTLY}
              </span>
              {again('Regenerate')}
            </Ending>
          )
        case 'refused':
          return (
            <Ending icon={Ban}>
              <span className="min-w-0 basis-64 grow">
                <span className="font-semibold text-ink">The model refused.</span> {DIFFERENTLY}
              </span>
              {again('Regenerate')}
            </Ending>
          )
        default:
          return null
      }
    default:
      return null
  }
}
