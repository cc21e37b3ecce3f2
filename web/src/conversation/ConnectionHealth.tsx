import type { Connection } from '../api/types'
import { useTestConnection } from '../connections/queries'
import { Button } from '../ui/Button'
import { Words } from '../ui/Words'

const time = new Intl.DateTimeFormat(undefined, { timeStyle: 'short' })

interface ConnectionHealthProps {
  connection: Connection
  /** Why it failed is said as well; a failed reply says it by itself. */
  withReason?: boolean
}

/** That a connection failed when it was last asked, and another try. */
export function ConnectionHealth({ connection, withReason = false }: ConnectionHealthProps) {
  const check = useTestConnection(connection.id)
  const { state, at, error } = connection.health
  const isMended = check.isSuccess && state === 'answering'
  return (
    <span role="status" className="text-quiet empty:hidden">
      {state === 'failing' && (
        <>
          <strong className="font-semibold text-accent">
            Did not answer{at != null && ` at ${time.format(at)}`}.
          </strong>{' '}
          {withReason && error && <Words text={error.message} />}{' '}
          <Button
            weight="text"
            className="pointer-coarse:min-h-11"
            disabled={check.isPending}
            aria-label={`Check again whether ${connection.name} answers`}
            onClick={() => check.mutate()}
          >
            {check.isPending ? 'Checking…' : 'Check again'}
          </Button>
          {check.isError && ` ${check.error.message}`}
        </>
      )}
      {isMended && 'It answers again.'}
    </span>
  )
}
