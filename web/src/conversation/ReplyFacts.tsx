import { useQuery } from '@tanstack/react-query'
import { X } from 'lucide-react'
import { api } from '../api/client'
import type { Generation, Message } from '../api/types'
import { counted, lasting } from '../ui/amounts'
import { momentOf } from '../ui/dates'
import { IconButton } from '../ui/IconButton'
import { ReceiptView } from './ReceiptView'

function factsOf(message: Message, generation: Generation | undefined): Array<[string, string]> {
  const input = generation?.input_tokens ?? message.input_tokens
  const output = generation?.output_tokens ?? message.output_tokens
  const first = generation?.first_token_ms ?? null
  const whole = generation?.duration_ms ?? null
  const connection = generation?.receipt?.connection
  const kind = message.provider ?? generation?.provider
  const model = [typeof connection === 'string' ? connection : kind, message.model ?? generation?.model]
  const facts: Array<[string, string | null]> = [
    ['Answered by', model.filter(Boolean).join(' · ') || null],
    ['When', momentOf(message.created_at)],
    ['Read', input === null ? null : counted(input, 'token')],
    ['Written', output === null ? null : counted(output, 'token')],
    ['First word after', first === null ? null : lasting(first)],
    ['In all', whole === null ? null : lasting(whole)],
  ]
  return facts.filter((fact): fact is [string, string] => fact[1] !== null)
}

/** How a reply came to be, for whoever asks: the numbers stand under it until they are closed. */
export function ReplyFacts({ message, onClose }: { message: Message; onClose: () => void }) {
  const { generation_id, revision } = message
  const generation = useQuery({
    queryKey: ['generation', generation_id, revision],
    queryFn: () => api.generation(generation_id ?? ''),
    enabled: generation_id !== null,
  })
  return (
    <section
      aria-label="How this reply was made"
      className="mt-2 flex items-start gap-2 border-l-2 border-rule pl-3 text-note text-quiet"
    >
      <div className="min-w-0 flex-1">
        <dl className="flex flex-wrap gap-x-5 gap-y-1">
          {factsOf(message, generation.data).map(([name, value]) => (
            <div key={name} className="flex gap-1.5">
              <dt className="text-faint">{name}</dt>
              <dd className="wrap-anywhere">{value}</dd>
            </div>
          ))}
          {generation.isError && <p>The times could not be loaded. {generation.error.message}</p>}
        </dl>
        {generation.data?.receipt && <ReceiptView receipt={generation.data.receipt} />}
      </div>
      <IconButton icon={X} size={14} label="Close the numbers" onClick={onClose} className="-my-1.5" />
    </section>
  )
}
