import { Link } from '@tanstack/react-router'
import { TriangleAlert } from 'lucide-react'
import type { ReactNode } from 'react'
import type { Conversation, ShelfSize, Storage } from '../api/types'
import { counted, sized } from '../ui/amounts'
import { dayOf } from '../ui/dates'
import { ListFailed } from '../ui/ListFailed'
import { ListLoading } from '../ui/ListLoading'
import { PageFrame } from '../ui/PageFrame'
import { titleOf } from '../ui/titles'
import { ArchivingOld } from './ArchivingOld'
import { useStorage } from './useStorage'

const link = 'text-accent underline decoration-1 underline-offset-3'

function Row({ words, size }: { words: ReactNode; size: ShelfSize }) {
  return (
    <tr className="border-t border-rule">
      <th scope="row" className="py-2 pr-3 text-left font-normal">
        {words}
      </th>
      <td className="py-2 pr-3 text-right">{size.conversations.toLocaleString('en')}</td>
      <td className="py-2 pr-3 text-right">{size.messages.toLocaleString('en')}</td>
      <td className="py-2 text-right">{sized(size.characters)}</td>
    </tr>
  )
}

function Ranking({
  title,
  items,
  fact,
}: {
  title: string
  items: Conversation[]
  fact: (one: Conversation) => string
}) {
  if (items.length === 0) return null
  return (
    <section>
      <h2 className="font-tale text-2xl">{title}</h2>
      <ol className="mt-3 border-b border-rule">
        {items.map((conversation) => (
          <li key={conversation.id} className="flex items-baseline gap-3 border-t border-rule py-2">
            <Link
              to="/c/$id"
              params={{ id: conversation.id }}
              dir="auto"
              className="min-w-0 flex-1 truncate rounded-corner hover:text-accent pointer-coarse:py-1.5"
            >
              {titleOf(conversation)}
            </Link>
            <span className="shrink-0 text-sm text-faint">{fact(conversation)}</span>
          </li>
        ))}
      </ol>
    </section>
  )
}

function Sizes({ storage }: { storage: Storage }) {
  const { database_bytes, free_bytes, warnings, active, archived, trash } = storage
  return (
    <section>
      <h2 className="font-tale text-2xl">What is kept</h2>
      <p className="mt-1.5 text-quiet">
        {database_bytes === null
          ? 'The database is on another machine, which knows its size.'
          : `The database takes ${sized(database_bytes)}${free_bytes === null ? '' : `; its disk has ${sized(free_bytes)} left`}.`}
      </p>
      {warnings.map(({ code, message }) => (
        <p
          key={code}
          className="mt-3 flex gap-2.5 border-l-2 border-accent bg-leaf py-2 pr-3 pl-3 text-[0.9375rem]"
        >
          <TriangleAlert size={17} className="mt-0.5 shrink-0 text-accent" aria-hidden="true" />
          {message}
        </p>
      ))}
      <table className="mt-4 w-full border-b border-rule text-[0.9375rem]">
        <thead className="text-sm text-faint">
          <tr>
            <th scope="col" className="pb-1.5 text-left font-normal">
              Where
            </th>
            <th scope="col" className="pr-3 pb-1.5 text-right font-normal">
              <span className="sm:hidden">Talks</span>
              <span className="max-sm:hidden">Conversations</span>
            </th>
            <th scope="col" className="pr-3 pb-1.5 text-right font-normal">
              Messages
            </th>
            <th scope="col" className="pb-1.5 text-right font-normal">
              Text
            </th>
          </tr>
        </thead>
        <tbody>
          <Row words="At hand" size={active} />
          <Row
            words={
              <Link to="/archive" className={link}>
                Archive
              </Link>
            }
            size={archived}
          />
          <Row
            words={
              <Link to="/trash" className={link}>
                Trash
              </Link>
            }
            size={trash}
          />
        </tbody>
      </table>
    </section>
  )
}

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
