import { useState } from 'react'
import type { Connection } from '../api/types'
import { useRemoveConnection } from '../connections/queries'
import { Button } from '../ui/Button'
import { Question } from '../ui/Question'

export function RemoveConnection({ connection }: { connection: Connection }) {
  const [isAsking, setAsking] = useState(false)
  const remove = useRemoveConnection(connection.id)
  return (
    <>
      <Button onClick={() => setAsking(true)} disabled={remove.isPending}>
        Remove
      </Button>
      {remove.isError && (
        <span role="alert" className="text-label text-accent">
          Not removed. {remove.error.message}
        </span>
      )}
      {isAsking && (
        <Question
          title={`Remove the connection “${connection.name}”?`}
          outcome={
            <>
              Its key is forgotten. Nothing that was said is lost; conversations that it answers ask you to
              choose another{connection.chosen && ', and so do those without a choice of their own'}.
            </>
          }
          yes="Remove it"
          onYes={() => remove.mutate()}
          onClose={() => setAsking(false)}
        />
      )}
    </>
  )
}
