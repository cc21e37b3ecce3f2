import { counted, sized } from '../ui/amounts'
import { dayOf } from '../ui/dates'
import { ListFailed } from '../ui/ListFailed'
import { ListLoading } from '../ui/ListLoading'
import { PageFrame } from '../ui/PageFrame'
import { ArchivingOld } from './ArchivingOld'
import { Ranking } from './Ranking'
import { Sizes } from './Sizes'
import { useStorage } from './useStorage'

/** How much there is, where it lies, and the way to put the old away. */
export function StoragePage() {
  const storage = useStorage()
  return (
    <PageFrame title="Storage">
      {storage.isPending ? (
        <ListLoading label="Loading the sizes" />
      ) : storage.isError ? (
        <ListFailed
          words="The sizes could not be loaded."
          problem={storage.error.message}
          onRetry={() => void storage.refetch()}
        />
      ) : (
        <div className="space-y-12">
          <Sizes storage={storage.data} />
          <ArchivingOld />
          <Ranking
            title="The largest"
            items={storage.data.largest}
            fact={({ message_count, characters }) =>
              `${counted(message_count, 'message')}, ${sized(characters)}`
            }
          />
          <Ranking
            title="Untouched the longest"
            items={storage.data.oldest}
            fact={({ updated_at }) => dayOf(updated_at)}
          />
        </div>
      )}
    </PageFrame>
  )
}
