import { useStore } from '../stores/store'
import { Button } from '../ui/Button'
import { LimitNotice } from './LimitNotice'
import { Notice } from './Notice'
import { replyLimit } from './replyLimit'
import type { ConversationRuntime } from './runtime'
import type { Snapshot } from './screen'

/** What is to be said of the conversation above the field in which one types. */
export function TalkNotices({ snapshot, runtime }: { snapshot: Snapshot; runtime: ConversationRuntime }) {
  const { view, notice, reference } = snapshot
  const limit = useStore(replyLimit)
  const last = view.lines.findLast((line) => line.kind === 'said')
  return (
    <>
      {view.running?.isElsewhere && (
        <p className="mb-1.5 text-label text-quiet">
          The AI is answering on another branch of this conversation.
        </p>
      )}
      {view.newerElsewhere !== null && (
        <p role="status" className="mb-1.5 flex items-center gap-3 text-label text-quiet">
          Newer messages stand on another branch.
          <Button className="pointer-coarse:min-h-11" onClick={() => void runtime.reading.goToNewer()}>
            Go there
          </Button>
        </p>
      )}
      {limit !== null && !(last && view.unanswered.has(last.id)) && <LimitNotice limit={limit} />}
      {notice !== null && (
        <Notice text={notice} reference={reference} onClose={() => runtime.forgetNotice()} />
      )}
    </>
  )
}
