import type { Provider } from '../api/types'
import { useCheckProvider } from '../providers/queries'
import { Button } from '../ui/Button'
import { Words } from '../ui/Words'

const time = new Intl.DateTimeFormat(undefined, { timeStyle: 'short' })

interface ProviderHealthProps {
  provider: Provider
  /** Why it failed is said as well; a failed reply says it by itself. */
  withReason?: boolean
}

/** That a provider failed when it was last asked, and another try. */
export function ProviderHealth({ provider, withReason = false }: ProviderHealthProps) {
  const check = useCheckProvider(provider.name)
  const { state, at, error } = provider.health
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
            aria-label={`Check again whether ${provider.title} answers`}
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
