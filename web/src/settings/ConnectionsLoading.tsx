import { Button } from '../ui/Button'

interface ConnectionsLoadingProps {
  query: { isPending: boolean; isError: boolean; error: Error | null; refetch: () => unknown }
}

export function ConnectionsLoading({ query }: ConnectionsLoadingProps) {
  if (query.isPending) {
    return (
      <div role="status" aria-label="Loading the connections" className="space-y-4">
        {[58, 42, 66].map((width) => (
          <div key={width} className="skeleton h-5" style={{ width: `${width}%` }} />
        ))}
      </div>
    )
  }
  if (!query.isError) return null
  return (
    <div role="alert" className="text-quiet">
      <p className="mb-2">The connections could not be loaded. {query.error?.message}</p>
      <Button onClick={() => query.refetch()}>Retry</Button>
    </div>
  )
}
